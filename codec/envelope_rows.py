"""Messages that came in envelopes as rows of the table of their type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from operator import attrgetter
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from codec.timestamps import parse_texts
from contracts.binary import BinaryColumn
from contracts.columns import TableColumn
from contracts.envelope import CARRIED, DEDUPE_KEY, stored_columns
from contracts.message import MessageType
from native.memory import gather
from native.sha256 import digests_at

_KEY_BYTES: Final = 16
_IDENTITY: Final = np.dtype([("ts", ">i8"), ("has_sequence", "u1"), ("sequence", ">i8"), ("digest", "V32")])

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Texts = tuple[Ints, Ints]  # addresses and lengths
_Bools = npt.NDArray[np.bool_]

_columns: Final = cache(stored_columns)


@cache
def _decoder(kind: MessageType) -> Callable[[bytes | msgspec.Raw], Any]:
    return msgspec.json.Decoder(kind.struct).decode


class Pile:
    """Messages of one type, in log order: for each the index of its record, its envelope, and what is in that."""

    def __init__(self, kind: MessageType) -> None:
        self.kind = kind
        self.decode = _decoder(kind)
        self.records: list[int] = []
        self.envelopes: list[Any] = []
        self.messages: list[Any] = []

    @property
    def payloads(self) -> list[Any]:
        """The bytes of each message, as they stand in its envelope."""
        return [envelope.payload for envelope in self.envelopes]


def rows_of(pile: Pile, hashed: Bytes, offsets: Ints, is_valid: _Bools) -> tuple[pl.DataFrame, dict[str, _Bools]]:
    """The rows of the valid messages; and by the name of a time, which messages have one that is none.

    Args:
        pile: the messages.
        hashed: the digests of their payloads.
        offsets: those of their records.
        is_valid: which of them are valid, as far as is known.
    """
    flawed: dict[str, _Bools] = {}
    columns: list[pl.Series] = []
    for column, owners in _owned(pile):
        values = list(map(_getter(column), owners))
        if column.type == "timestamptz":
            times, is_wrong = _times(values)
            columns.append(times.alias(column.name))
            flawed[".".join(column.path)] = is_wrong
            is_valid = is_valid & ~is_wrong
        else:
            columns.append(_cells(column, values))
    place, zeros = len(columns), np.zeros(len(offsets), np.int64)
    rows = pl.DataFrame([*columns, pl.Series("offset", offsets), pl.Series("row", zeros)])
    if not is_valid.all():
        rows, hashed = rows.filter(pl.Series(is_valid)), hashed[is_valid]
    return rows.insert_column(place, _keys(rows, hashed)), flawed


def _owned(pile: Pile) -> Iterator[tuple[TableColumn, Sequence[Any]]]:
    """The stored columns, and what has their values."""
    for number, column in enumerate(_columns(pile.kind)):
        yield column, pile.envelopes if number < len(CARRIED) else pile.messages


def _cells(column: TableColumn, values: list[Any]) -> pl.Series:
    if column.type == "jsonb":
        values = [None if value is None else msgspec.json.encode(value).decode() for value in values]
    return pl.Series(column.name, values, column.dtype)


def _times(texts: list[str | None]) -> tuple[pl.Series, _Bools]:
    """Nanoseconds since the epoch, null for a text that is missing; and which texts are no times."""
    times, is_time = parse_texts(texts)
    found = pl.Series(times)
    if is_time.all():
        return found, ~is_time
    is_there = np.array([text is not None for text in texts])
    return found.set(pl.Series(~is_time), None), is_there & ~is_time


def _getter(column: TableColumn) -> Any:
    first, *rest = column.path
    return partial(_part, attrgetter(first), attrgetter(*rest)) if rest else attrgetter(first)


def _part(owner: Any, part: Any, message: Any) -> Any:
    """A field of a struct in a message, which may be missing."""
    struct = owner(message)
    return None if struct is None else part(struct)


def _keys(rows: pl.DataFrame, hashed: Bytes) -> pl.Series:
    """The dedupe_key of each row."""
    names = [BinaryColumn.of(map(str.encode, rows[name].to_list())) for name in ("event_type", "source_id")]
    types, sources = ((column.data.ctypes.data + column.starts, column.lengths) for column in names)
    has_sequence, sequences = rows["sequence"].is_not_null().to_numpy(), rows["sequence"].fill_null(0).to_numpy()
    return dedupe_keys(types, sources, rows["ts"].to_numpy(), (has_sequence, sequences), hashed)


def dedupe_keys(types: Texts, sources: Texts, times: Ints, sequences: tuple[_Bools, Ints], hashed: Bytes) -> pl.Series:
    """The keys of messages, over their names, each followed by a NUL, which they cannot hold, and their numbers.

    Args:
        types: the names of their streams.
        sources: their feeds.
        times: nanoseconds since the epoch.
        sequences: which have one, and which that is; 0 without one.
        hashed: the digests of their payloads.
    """
    cells = np.empty(len(times), _IDENTITY)
    cells["ts"], (cells["has_sequence"], cells["sequence"]) = times, sequences
    cells["digest"] = hashed.view(cells.dtype["digest"])[:, 0]
    size = cells.dtype.itemsize
    numbers = cells.ctypes.data + size * np.arange(len(cells)), np.full(len(cells), size)
    places = [types[1] + 1, sources[1] + 1, numbers[1]]
    lengths = sum(places[1:], places[0])
    starts = np.cumsum(lengths) - lengths
    data, at = np.zeros(int(lengths.sum()), np.uint8), starts
    for (addresses, sizes), taken in zip((types, sources, numbers), places, strict=True):
        gather(addresses, sizes, at, data)
        at = at + taken
    return _binary(DEDUPE_KEY, digests_at(data.ctypes.data + starts, lengths)[:, :_KEY_BYTES])


def _binary(name: str, rows: Bytes) -> pl.Series:
    """The rows as bytes."""
    count, size = rows.shape
    ends = np.arange(0, (count + 1) * size, size, dtype=np.int64)
    data = [None, pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(rows))]
    return pl.Series(name, pl.from_arrow(pa.LargeBinaryArray.from_buffers(pa.large_binary(), count, data)))
