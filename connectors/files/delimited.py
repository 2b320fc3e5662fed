"""Reads CSV: cells as strings, null if empty, or as numbers.

Whole blocks of lines are parsed at once by Arrow, and numbers with them where a map wants numbers. A block that it
might read differently, as not each of its lines is one row of as many cells as the first, is read line by line, so that
what is wrong with it has a line number.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import IO, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from connectors.files.errors import FileError
from connectors.files.layout import Layout
from connectors.files.opening import Opened
from connectors.files.pieces import LONGEST_LINE, Columns, sized

_BLOCK_BYTES: Final = 4 << 20
_FIRST_BYTES: Final = 1 << 16  # are read line by line, for the header
_TYPES: Final = {"number": pa.float64(), "whole": pa.int64()}
_BOM: Final = b"\xef\xbb\xbf"
_NEWLINE: Final = ord("\n")


def read_delimited(file: Opened, layout: Layout, rows: int) -> Iterator[Columns]:
    """Yields a file in pieces of so many rows; one if there are none.

    Raises:
        FileError: it is not CSV, or lacks a column.
    """
    with file.stream() as stream:
        lines = _Lines(file.name, stream)
        try:
            yield from sized(_pieces(file, layout, lines), rows)
        except (csv.Error, UnicodeDecodeError) as error:
            raise FileError(f"{file.name}, after line {lines.number}: {error}") from None


def _pieces(file: Opened, layout: Layout, lines: _Lines) -> Iterator[Columns]:
    """The first piece holds the first line, if that is a row."""
    delimiter = layout.delimiter or ("\t" if file.kind == "tsv" else ",")
    reader = csv.reader(lines, delimiter=delimiter)
    first = next(reader, [])
    has_header = layout.is_header(first)
    places = layout.chosen(file.name, first if has_header else len(first))
    table = _Table(places, layout, len(first), delimiter, "header" if has_header else "first row")
    yield table.of_cells([] if has_header or not first else [(lines.number, first)])
    while block := lines.block():
        piece = table.of_block(block, lines.number + 1)
        if piece is not None:
            lines.number += piece.height
            yield piece
        else:
            lines.split(block)
            yield table.of_cells(list(_rows(reader, lines)))


def _rows(reader: Iterator[list[str]], lines: _Lines) -> Iterator[tuple[int, list[str]]]:
    """The rows that begin in the block that was split, with the numbers of the lines that they end in."""
    while lines.left:
        row = next(reader, None)
        if row:  # blank lines are not rows
            yield lines.number, row


class _Lines:
    """The lines of a file: taken one by one, which is what a reader of CSV does, or a block of them at once.

    Attributes:
        number: how many were taken.
        left: how many of the block that was split were not.
    """

    def __init__(self, name: str, stream: IO[bytes]) -> None:
        self._name, self._stream = name, stream
        self._texts: Iterator[str] = iter(())
        self._rest = b""  # what was read of a line that goes on
        self._is_first = True
        self.number = self.left = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if not self.left:
            block = self._read()
            if not block:
                raise StopIteration
            self.split(block)
        self.left -= 1
        self.number += 1
        return next(self._texts)

    def split(self, block: bytes) -> None:
        """Has the lines of a block taken next."""
        texts = list(io.StringIO(block.decode(), newline=""))
        self._texts, self.left = iter(texts), len(texts)

    def block(self) -> bytes:
        """What is left of the block that was split, or the next one; empty at the end."""
        if not self.left:
            return self._read()
        self.left = 0
        return "".join(self._texts).encode()

    def _read(self) -> bytes:
        data = self._rest
        while more := self._stream.read(min(_FIRST_BYTES, _BLOCK_BYTES) if self._is_first else _BLOCK_BYTES):
            if self._is_first:
                more, self._is_first = more.removeprefix(_BOM), False
            data += more
            end = (data.rfind(b"\n") + 1) or (data.rfind(b"\r", 0, -1) + 1)
            if end:
                self._rest = data[end:]
                return data[:end]
            if len(data) > LONGEST_LINE:
                raise FileError(
                    f"{self._name}, line {self.number + 1} is longer than {LONGEST_LINE >> 20} MiB: is it CSV?"
                )
        self._rest = b""
        return data


class _Table:
    """Makes columns of lines.

    Args:
        places: of the wanted cells in a row, by the names of the columns.
        layout: says which columns are wanted as numbers.
        width: how many cells a row has.
        delimiter: between them.
        first: what the first line is called.
    """

    def __init__(self, places: Mapping[str, int], layout: Layout, width: int, delimiter: str, first: str) -> None:
        self._places, self._width, self._first = places, width, first
        names = [str(place) for place in range(width)]
        self._parsing = pa.csv.ParseOptions(delimiter=delimiter)
        self._reading = pa.csv.ReadOptions(column_names=names, block_size=2**31 - 1)
        self._texts = self._conversion({})
        # Until a cell is no plain number: from there on all are read as texts, which are judged one by one.
        self._numbers: pa.csv.ConvertOptions | None = self._conversion(layout.numbers) if layout.numbers else None

    def _conversion(self, numbers: Mapping[str, str]) -> pa.csv.ConvertOptions:
        wanted = {str(place): _TYPES.get(numbers.get(name, ""), pa.string()) for name, place in self._places.items()}
        return pa.csv.ConvertOptions(
            column_types=wanted, include_columns=list(wanted), null_values=[""], strings_can_be_null=True
        )

    def of_block(self, block: bytes, first: int) -> Columns | None:
        """The rows of a block of lines, the first of which has this number; None unless each line is a row."""
        signs = np.frombuffer(block, np.uint8)
        lines = int(np.count_nonzero(signs == _NEWLINE)) + (not block.endswith(b"\n"))
        if b"\r" in block and block.count(b"\r") != block.count(b"\r\n"):
            return None
        if b'"' in block and not _has_quotes_in_pairs(signs):
            return None
        found = self._parsed(block)
        if found is None or found.num_rows != lines:
            return None
        values = [pl.Series(name, pl.from_arrow(found.column(str(at)))) for name, at in self._places.items()]
        return Columns(pl.int_range(first, first + lines, eager=True), pl.DataFrame(values))

    def _parsed(self, block: bytes) -> pa.Table | None:
        if self._numbers is not None:
            found = self._read(block, self._numbers)
            if found is not None and b"0x" not in block and all(map(_is_finite, found.columns)):
                return found
            if self._read(block, self._texts) is None:
                return None
            self._numbers = None
        return self._read(block, self._texts)

    def _read(self, block: bytes, conversion: pa.csv.ConvertOptions) -> pa.Table | None:
        try:
            return pa.csv.read_csv(pa.BufferReader(block), self._reading, self._parsing, conversion)
        except pa.ArrowInvalid:
            return None

    def of_cells(self, rows: list[tuple[int, list[str]]]) -> Columns:
        """Rows with the numbers of their lines; those with too many or too few cells are broken."""
        width = self._width
        wrong = f"cells, and the {self._first} {width}"
        broken = tuple((number, f"the row has {len(row)} {wrong}") for number, row in rows if len(row) != width)
        whole = [(number, row) for number, row in rows if len(row) == width] if broken else rows
        cells = [[row[place] for _, row in whole] for place in self._places.values()]
        values = [pl.Series(name, column, pl.String) for name, column in zip(self._places, cells, strict=True)]
        filled = pl.DataFrame([column.set(column == "", None) for column in values])
        return Columns(pl.Series([number for number, _ in whole], dtype=pl.Int64), filled, broken)


def _is_finite(column: pa.ChunkedArray) -> bool:
    """Whether a column holds no number that is none, of which only its text can be shown."""
    return not pa.types.is_floating(column.type) or bool(
        pa.compute.all(pa.compute.is_finite(column)).as_py() is not False
    )


def _has_quotes_in_pairs(signs: npt.NDArray[np.uint8]) -> bool:
    """Whether each line has an even number of quotes, so that no cell goes on in the next line."""
    quotes, ends = np.flatnonzero(signs == ord('"')), np.flatnonzero(signs == _NEWLINE)
    before = np.searchsorted(quotes, ends)
    return not (before % 2).any() and len(quotes) % 2 == 0
