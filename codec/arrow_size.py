"""The decoded size of an Arrow stream, computed from its metadata before decompression and dictionary decoding.

A small stream can decode to a large one. Buffers are compressed, and state their decompressed length; several may share
the same bytes; dictionaries and views can repeat a string any number of times, and each batch can refer to a whole
dictionary again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from contracts.budgets import RECORD_BYTES, RECORD_ROWS
from native.flatbuffer import Table

_HEADER: Final = 2  # field of a message
_ROWS, _BUFFERS, _COMPRESSION = 0, 2, 3  # of a batch
_ID, _DATA, _IS_DELTA = range(3)  # of a dictionary batch
_PREFIX: Final = 8  # bytes before a compressed buffer: its decompressed length
_ALIGNMENT: Final = 8
_NOT_COMPRESSED: Final = -1  # as that length

_Ints = npt.NDArray[np.int64]

# How batches were compressed before the format specified it: no longer written, but still read.
_OLD_COMPRESSION: Final = b"ARROW:experimental_compression"


class Size(NamedTuple):
    """The size of a stream: its rows, and the bytes of its decompressed buffers.

    Attributes:
        is_aligned: whether its buffers are aligned as the format requires.
    """

    rows: int
    nbytes: int
    is_aligned: bool = True


def stated_size(data: pa.Buffer) -> Size:
    """The size stated by the messages of a stream, without decompression.

    Raises:
        ValueError, pyarrow.ArrowException: the bytes are not valid messages, or more bytes follow them.
    """
    rows = nbytes = 0
    is_aligned = True
    dictionaries: dict[int, int] = {}  # sizes by id, including deltas
    source = pa.BufferReader(data)
    for message in pa.ipc.MessageReader.open_stream(source):
        if message.type not in ("dictionary", "record batch"):
            continue
        header, is_batch = _header(message), message.type == "record batch"
        batch = header if is_batch else header.table(_DATA)
        if batch is None:
            raise ValueError("a dictionary of the Arrow stream has no values")
        spans = _spans(batch)
        unpacked = _unpacked(batch, spans, message.body)
        is_aligned &= _are_aligned(spans, message.body)
        if is_batch:
            rows += max(batch.long(_ROWS), 0)
            nbytes += unpacked + sum(dictionaries.values())
        else:  # a delta creates another copy of the whole dictionary
            which, is_delta = header.long(_ID), header.flag(_IS_DELTA)
            dictionaries[which] = unpacked + (dictionaries.get(which, 0) if is_delta else 0)
            nbytes += dictionaries[which]
    if data[source.tell() :].to_pybytes().strip(b"\0"):  # such as another stream, whose rows nobody would read
        raise ValueError("bytes follow the end of the Arrow stream")
    return Size(rows, nbytes, is_aligned)


def check_size(rows: int, nbytes: int) -> None:
    """Checks rows and bytes against the limits of a record.

    Raises:
        ValueError: a limit is exceeded.
    """
    if rows > RECORD_ROWS:
        raise ValueError(f"the Arrow stream has {rows} rows, more than {RECORD_ROWS}")
    if nbytes > RECORD_BYTES:
        raise ValueError(f"the Arrow stream would take {nbytes} bytes unpacked, more than {RECORD_BYTES}")


def is_referring(kind: pa.DataType) -> bool:
    """Whether values may be references, as in views and dictionaries."""
    return not (pa.types.is_primitive(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def view_bytes(columns: Iterable[pa.ChunkedArray]) -> int:
    """Bytes of all strings and binaries that columns refer to by views, each counted per reference."""
    return sum(_views(chunk) for column in columns for chunk in column.chunks)


def text_bytes(columns: Iterable[pa.ChunkedArray], room: int) -> int:
    """Bytes of the dictionary-encoded strings of columns when decoded; or an upper bound within `room`."""
    coded = [chunk for column in columns if _is_coded(column.type) for chunk in column.chunks]
    most = int(sum(len(chunk) * chunk.dictionary.get_total_buffer_size() for chunk in coded))
    return most if most <= room else sum(map(_text_bytes, coded))


def _text_bytes(coded: pa.DictionaryArray) -> int:
    lengths = pc.binary_length(coded.dictionary.cast(pa.large_string()))
    return pc.sum(lengths.take(coded.indices)).as_py() or 0


def types_in(kind: pa.DataType) -> Iterator[pa.DataType]:
    """Yields a type and its nested types."""
    yield kind
    if isinstance(kind, pa.BaseExtensionType):
        yield from types_in(kind.storage_type)
    elif pa.types.is_dictionary(kind):
        yield from types_in(kind.value_type)
    else:
        for place in range(kind.num_fields):
            yield from types_in(kind.field(place).type)


def is_text(kind: pa.DataType) -> bool:
    """Whether its values are strings, in any layout."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_coded(kind: pa.DataType) -> bool:
    return bool(pa.types.is_dictionary(kind) and is_text(kind.value_type))


def _header(message: pa.Message) -> Table:
    header = Table.root(_metadata(message)).table(_HEADER)
    if header is None:
        raise ValueError("a message of the Arrow stream has no header")
    return header


def _metadata(message: pa.Message) -> bytes:
    metadata = message.metadata.to_pybytes()
    if _OLD_COMPRESSION in metadata:
        raise ValueError("the Arrow stream is compressed in an obsolete way")
    return bytes(metadata)


def _spans(batch: Table) -> _Ints:
    """(start in the body, length) of each non-empty buffer."""
    count, start = batch.vector(_BUFFERS) or (0, 0)
    spans = np.frombuffer(batch.data, "<i8", 2 * count, start).reshape(count, 2)
    return spans[spans[:, 1] > 0]


def _unpacked(batch: Table, spans: _Ints, body: pa.Buffer | None) -> int:
    """Decompressed bytes of the buffers of a batch; shared buffers count each."""
    if batch.field(_COMPRESSION) is None:
        return sum(spans[:, 1].tolist())
    held = memoryview(body or b"")
    return sum(_stated(held, start, length) for start, length in spans.tolist())


def _are_aligned(spans: _Ints, body: pa.Buffer | None) -> bool:
    return body is None or not ((spans[:, 0] + body.address) % _ALIGNMENT).any()


def _stated(body: memoryview, start: int, length: int) -> int:
    """The decompressed length of a compressed buffer."""
    if not 0 <= start <= len(body) - _PREFIX:
        raise ValueError("a buffer of the Arrow stream lies outside of it")
    (stated,) = struct.unpack_from("<q", body, start)
    if stated == _NOT_COMPRESSED:
        return length - _PREFIX
    if stated < 0:
        raise ValueError("a buffer of the Arrow stream has a length below zero")
    return int(stated)


def _views(array: pa.Array) -> int:
    """Bytes that the views in an array and its children refer to."""
    kind = array.type
    if not (pa.types.is_string_view(kind) or pa.types.is_binary_view(kind)):
        return sum(map(_views, _children(array)))
    if not len(array):
        return 0
    lengths = np.frombuffer(array.buffers()[1], np.int32, 4 * len(array), 16 * array.offset)[::4]
    if array.null_count:
        lengths = lengths[array.is_valid().to_numpy(zero_copy_only=False)]
    return int(np.maximum(lengths, 0).sum(dtype=np.int64))


def _children(array: pa.Array) -> Iterable[pa.Array]:
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return [array.storage]
    if isinstance(array, pa.DictionaryArray):
        return [array.dictionary]
    if isinstance(array, pa.StructArray | pa.UnionArray):
        return [array.field(place) for place in range(kind.num_fields)]
    if isinstance(array, pa.MapArray):
        return [array.keys, array.items]
    return [array.values] if kind.num_fields else []
