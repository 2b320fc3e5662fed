"""The layout that Arrow streams of one writer share: where they state the lengths of their columns and where these lie.

A stream begins with its schema. Each batch after it is a FlatBuffers message. One writer encodes every batch of a
schema in the same way; only numbers differ: the count of rows, and where in the body each buffer lies. So what PyArrow
has verified once holds for all streams that differ only in these numbers, and only the numbers have to be checked.

https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contracts.event import NEEDED_BY_TICKS, scanned
from contracts.record import Buffer
from native.flatbuffer import Table, target

ROLES: Final = scanned("provider", "symbol", "event_id", "kind", "src_ts", "c", "v", "seq")  # columns that are read
PROVIDER, SYMBOL, EVENT_ID, KIND, TIME, C, V, SEQ = range(len(ROLES))
ABSENT: Final = -1  # the place of a column that is not there
PREFIX: Final = 8  # bytes before a message: a mark, and its length
_TEXTS: Final = ROLES[:TIME]
_OPTIONAL: Final = [name for name in ROLES if name not in NEEDED_BY_TICKS]
_MAX_KNOWN: Final = 64  # layouts; beyond that the oldest are dropped, and learned again when they return

_MAX_SCHEMA: Final = 1 << 16  # bytes; a longer schema is not cached

_RECORD_BATCH: Final = 3
_VERSION, _TYPE, _HEADER, _BODY_LENGTH = range(4)  # fields of a message
_ROWS, _NODES, _BUFFERS = range(3)  # fields of a batch
_NUMBER, _PAIR, _OFFSET = 8, 16, 4  # bytes

_Ints = npt.NDArray[np.int64]
_Bytes = npt.NDArray[np.uint8]


class Layout(NamedTuple):
    """Byte offsets of the parts of a batch, counted from the prefix of its message.

    Attributes:
        start: where the first batch begins in the stream.
        head: the message of a batch with its prefix; its body follows.
        is_fixed: 255 for each byte of `head` that is the same in all batches, 0 for the bytes of numbers.
        body_length, rows, nodes, buffers: offsets of the numbers: two for each column, its length and its null count,
            and two for each buffer, its start in the body and its length.
        bits: width of a value in each column; of an offset where the column holds strings.
        is_text: whether each column holds strings.
        first_buffer: index of the first buffer of each column.
        column: index of the column of each of ROLES, or ABSENT.
        unit_ns: nanoseconds in one unit of src_ts.
    """

    start: int
    head: _Bytes
    is_fixed: _Bytes
    body_length: int
    rows: int
    nodes: int
    buffers: int
    bits: _Ints
    is_text: npt.NDArray[np.bool_]
    first_buffer: _Ints
    column: _Ints
    unit_ns: int


_known: dict[bytes, Layout | None] = {}  # by the schema's message; None if its layout is not plain


def schema_of(payload: Buffer) -> bytes:
    """The first message of a stream."""
    return bytes(payload[: PREFIX + int.from_bytes(payload[4:PREFIX], "little")])


def layout_of(payload: Buffer) -> Layout | None:
    """The layout learned from other streams with this schema, if it was plain; the writer may have changed since."""
    return _known.get(schema_of(payload))


def learn(schema: bytes, payload: Buffer, fields: pa.Schema) -> None:
    """Remember the layout of a stream that PyArrow has validated and whose columns have the right types."""
    if schema in _known or len(schema) > _MAX_SCHEMA:
        return
    if len(_known) >= _MAX_KNOWN:
        _known.pop(next(iter(_known)), None)
    columns = _columns(dict(zip(fields.names, fields.types, strict=True))) if _is_little_endian(schema) else None
    layout = None if columns is None else _laid_out(bytes(payload[len(schema) :]), len(schema), columns)
    if columns is None or layout is not None:
        _known[schema] = layout


def forget(layout: Layout) -> None:
    """Drop a layout that its streams no longer have, so that the new one is learned."""
    for schema, known in list(_known.items()):
        if known is layout:
            _known.pop(schema, None)


@dataclass(frozen=True, slots=True)
class _Columns:
    bits: _Ints
    is_text: npt.NDArray[np.bool_]
    first_buffer: _Ints
    column: _Ints
    unit_ns: int


def _columns(types: Mapping[str, pa.DataType]) -> _Columns | None:
    """Return None if any column is not plain: columns that are not read must be valid too."""
    if not (_are_plain(types) and all(name in types or name in _OPTIONAL for name in ROLES)):
        return None
    is_text = np.array([_is_text(kind) for kind in types.values()])
    bits = [
        64 if pa.types.is_large_string(kind) else 32 if _is_text(kind) else kind.bit_width for kind in types.values()
    ]
    places = {name: place for place, name in enumerate(types)}
    return _Columns(
        np.array(bits, np.int64),
        is_text,
        np.cumsum(2 + is_text) - (2 + is_text),
        np.array([places.get(name, ABSENT) for name in ROLES], np.int64),
        {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}[types["src_ts"].unit],
    )


def _are_plain(types: Mapping[str, pa.DataType]) -> bool:
    wanted = {"c": pa.float64(), "v": pa.float64(), "seq": pa.int64()}
    return (
        "ver" not in types
        and all(_is_text(kind) or _is_fixed(kind) for kind in types.values())
        and all(_is_text(types[name]) for name in _TEXTS if name in types)
        and all(types[name] == kind for name, kind in wanted.items() if name in types)
        and "src_ts" in types
        and pa.types.is_timestamp(types["src_ts"])
        and types["src_ts"].tz is not None
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_fixed(kind: pa.DataType) -> bool:
    """Whether its values have a fixed width, and every bit pattern is valid."""
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_timestamp(kind)
    )


def _is_little_endian(schema: bytes) -> bool:
    header = Table.root(schema, PREFIX).field(_HEADER)
    endianness = header and Table(schema, target(schema, header)).field(0)
    return bool(header) and (not endianness or schema[endianness : endianness + 2] == b"\0\0")


def _laid_out(data: bytes, start: int, columns: _Columns) -> Layout | None:
    """The layout of a stream, from the bytes after its schema; None if its first batch is not plain."""
    length = PREFIX + int.from_bytes(data[4:PREFIX], "little")
    found = _found(data) if PREFIX < length <= len(data) and length % 8 == 0 else None
    if found is None:
        return None
    structure, numbers, counts = found
    buffers = int(columns.first_buffer[-1]) + 2 + int(columns.is_text[-1])
    if counts != (len(columns.bits), buffers) or not _are_apart(length, structure, numbers):
        return None
    head, is_fixed = np.frombuffer(data[:length], np.uint8).copy(), np.full(length, 255, np.uint8)
    for span in numbers:
        head[span] = is_fixed[span] = 0
    places = (span.start for span in numbers)
    about = columns.bits, columns.is_text, columns.first_buffer, columns.column, columns.unit_ns
    return Layout._make((start, head, is_fixed, *places, *about))


def _found(data: bytes) -> tuple[list[slice], list[slice], tuple[int, int]] | None:
    """Return (structure, numbers, counts of columns and buffers) of a message that is a batch, as slices of its bytes.

    `structure` is the bytes that say where the numbers are. None if the batch has further fields, such as compression.
    """
    message = Table.root(data, PREFIX)
    fields = message.only(_BODY_LENGTH + 1)
    if fields is None or data[fields[_TYPE]] != _RECORD_BATCH:
        return None
    batch = Table.root(data, fields[_HEADER])
    parts = batch.only(_BUFFERS + 1)
    if parts is None:
        return None
    vectors = [target(data, parts[field]) for field in (_NODES, _BUFFERS)]
    columns, buffers = (struct.unpack_from("<I", data, at)[0] for at in vectors)
    offsets = (PREFIX, message.at, batch.at, fields[_HEADER], parts[_NODES], parts[_BUFFERS], *vectors)
    structure = [slice(PREFIX), message.vtable, batch.vtable, *(slice(at, at + _OFFSET) for at in offsets)]
    structure += [slice(fields[_VERSION], fields[_VERSION] + 2), slice(fields[_TYPE], fields[_TYPE] + 1)]
    lengths = {fields[_BODY_LENGTH]: _NUMBER, parts[_ROWS]: _NUMBER}
    lengths |= {at + _OFFSET: count * _PAIR for at, count in zip(vectors, (columns, buffers), strict=True)}
    return structure, [slice(at, at + length) for at, length in lengths.items()], (columns, buffers)


def _are_apart(length: int, structure: list[slice], numbers: list[slice]) -> bool:
    """Whether no number overlaps another number or the structure, so that each may change by itself."""
    taken = np.zeros(length, np.int64)
    for span in structure:
        taken[span] = 1
    for span in numbers:
        taken[span] += 1
    return int(taken.max()) == 1 and max(span.stop for span in (*structure, *numbers)) <= length
