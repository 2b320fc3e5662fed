"""Takes JSON apart into cells: the text of each value, so that it is read like a cell of CSV, with all its digits.

Rows are objects, whose fields are the columns, or arrays, whose columns have numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import polars as pl

from connectors.files.errors import FileError
from connectors.files.layout import KEY, Layout, label
from connectors.files.pieces import Columns, Texts

_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_ANY: Final = "*"  # as a step: any name with a list of rows

_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array: Final = msgspec.json.Decoder(list[msgspec.Raw])
_text: Final = msgspec.json.Decoder(str)


class _Row(NamedTuple):
    number: int
    text: msgspec.Raw | bytes
    key: str | None  # the name that `*` stood for


class Cells:
    """Makes cells of the records of one file."""

    def __init__(self, name: str, layout: Layout) -> None:
        self._name, self._layout = name, layout
        self._names = [label(column) for column in layout.columns]
        self._read = _reader(name, layout)
        self._seen: set[str] = set()  # columns that had a value
        self._rows = 0

    def of(self, texts: Texts) -> Columns:
        """The rows in some records, as strings, null where a value is null, missing or an empty text.

        Raises:
            FileError: none of them has one of the columns, or there are no rows where the map says.
        """
        numbers: list[int] = []
        values: list[Sequence[Any]] = []
        keys: list[str | None] = []
        broken: list[tuple[int, str]] = []
        for row in self._found(texts):
            try:
                values.append(self._read(row.text))
                numbers.append(row.number)
                keys.append(row.key)
            except (*_NOT_JSON, IndexError) as error:
                broken.append((row.number, _one_line(error)))
        columns = zip(*values, strict=True) if values else [()] * len(self._names)
        texts_of = [list(map(_cell, raw)) for raw in columns]
        cells = [pl.Series(name, cell, pl.String) for name, cell in zip(self._names, texts_of, strict=True)]
        if self._layout.keys:
            cells.append(pl.Series(KEY, keys, pl.String))
        self._check(cells, values, texts)
        return Columns(pl.Series(numbers, dtype=pl.Int64), pl.DataFrame(cells), tuple(broken))

    def _found(self, texts: Texts) -> Iterator[_Row]:
        """The rows in each record; where the map says in which place they are, they are counted."""
        steps = self._layout.each
        for number, text in zip(texts.numbers, texts.texts, strict=True):
            if not steps:
                yield _Row(number, text, None)
                continue
            for key, rows in self._at(text, steps, None):
                for row in rows:
                    self._rows += 1
                    yield _Row(self._rows, row, key)

    def _at(
        self, text: msgspec.Raw | bytes, steps: Sequence[str], key: str | None
    ) -> Iterator[tuple[str | None, list[msgspec.Raw]]]:
        try:
            if not steps:
                yield key, _array.decode(text)
                return
            fields = _object.decode(text)
        except _NOT_JSON:
            raise self._without_rows(text) from None
        step, *others = steps
        if step == _ANY:
            for name, value in fields.items():
                if memoryview(value)[:1].tobytes() in b"[{":
                    yield from self._at(value, others, name)
        elif step in fields:
            yield from self._at(fields[step], others, key)
        else:
            raise self._without_rows(text)

    def _without_rows(self, text: msgspec.Raw | bytes) -> FileError:
        begin = " ".join(bytes(text)[:100].decode("utf-8", "replace").split())
        return FileError(f"{self._name} has no rows at {'.'.join(self._layout.each)}, but {begin}")

    def _check(self, cells: Sequence[pl.Series], values: Sequence[Sequence[Any]], texts: Texts) -> None:
        """A column that none of the first rows has is not there; one that some lack is null for these."""
        self._seen |= {cell.name for cell in cells if cell.null_count() < len(cell)}
        missing = [name for name in self._names if name not in self._seen]
        if not missing or not values:
            return
        present: dict[str, None] = {}
        for row in self._found(texts) if not self._layout.each else ():
            try:
                present |= dict.fromkeys(_object.decode(row.text))
            except _NOT_JSON:
                continue
        if present:
            self._layout.chosen(self._name, list(present))
        self._seen |= set(missing)  # they are there, and null


def _reader(name: str, layout: Layout) -> Any:
    """Reads the wanted values of a row."""
    names = [column for column in layout.columns if isinstance(column, str)]
    if not names:
        return _by_number([column - 1 for column in layout.columns if isinstance(column, int)])
    if len(names) < len(layout.columns):
        raise FileError(f"{name} is JSON, whose columns have names or numbers, and the map has both")
    return _by_name(names)


def _by_name(names: Sequence[str]) -> Any:
    fields: list[Any] = [(f"field_{at}", msgspec.Raw, msgspec.Raw()) for at in range(len(names))]
    renamed = {field: name for (field, *_), name in zip(fields, names, strict=True)}
    row = msgspec.defstruct("Row", fields, rename=renamed, gc=False)
    decode = msgspec.json.Decoder(row).decode
    return lambda text: msgspec.structs.astuple(decode(text))


def _by_number(places: Sequence[int]) -> Any:
    most = max(places)

    def read(text: bytes) -> list[msgspec.Raw]:
        values = _array.decode(text)
        if most >= len(values):
            raise IndexError(f"the row has {len(values)} values, and the map reads number {most + 1}")
        return [values[place] for place in places]

    return read


def _cell(value: msgspec.Raw) -> str | None:
    """The text of a value; one that is missing is empty."""
    data = bytes(value)
    if data[:1] != b'"':
        return None if data in (b"", b"null") else data.decode()
    return (_text.decode(data) if b"\\" in data else data[1:-1].decode()) or None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
