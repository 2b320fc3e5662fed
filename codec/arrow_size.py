"""What an Arrow stream becomes, told from what it says of itself: before it is unpacked, or before it is written out.

A stream can say much in few bytes. Buffers are compressed, and say how long they are without; several may be the same
bytes; dictionaries and views repeat a text as often as they like, and each batch refers to all of a dictionary anew.
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
_ID, _DATA, _IS_DELTA = range(3)  # of a batch of a dictionary
_PREFIX: Final = 8  # bytes before a compressed buffer: its length without compression
_ALIGNMENT: Final = 8
_NOT_COMPRESSED: Final = -1  # in their place

_Ints = npt.NDArray[np.int64]

# How batches were compressed before the format could say so: nobody writes it any more, and readers still know it.
_OLD_COMPRESSION: Final = b"ARROW:experimental_compression"


class Size(NamedTuple):
    """Of a stream: how many rows it has, and how many bytes its buffers have once they are unpacked.

    Attributes:
        is_aligned: whether its buffers lie where the format asks them to.
    """

    rows: int
    nbytes: int
    is_aligned: bool = True


def stated_size(data: pa.Buffer) -> Size:
    """What the messages of a stream say; nothing is unpacked.

    Raises:
        ValueError, pyarrow.ArrowException: the bytes are no messages, or say what makes no sense.
    """
    rows = nbytes = 0
    is_aligned = True
    dictionaries: dict[int, int] = {}  # by their id, with all that was added to them
    for message in pa.ipc.MessageReader.open_stream(data):
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
        else:  # what is added to a dictionary makes another one of all of it
            which, is_delta = header.long(_ID), header.flag(_IS_DELTA)
            dictionaries[which] = unpacked + (dictionaries.get(which, 0) if is_delta else 0)
            nbytes += dictionaries[which]
    return Size(rows, nbytes, is_aligned)


def check_size(rows: int, nbytes: int) -> None:
    """Refuse what has more rows, or more bytes, than a record may have.

    Raises:
        ValueError: it has.
    """
    if rows > RECORD_ROWS:
        raise ValueError(f"the Arrow stream has {rows} rows, more than {RECORD_ROWS}")
    if nbytes > RECORD_BYTES:
        raise ValueError(f"the Arrow stream would take {nbytes} bytes unpacked, more than {RECORD_BYTES}")


def is_referring(kind: pa.DataType) -> bool:
    """Whether values may be somewhere else than in their place, as those of views and dictionaries are."""
    return not (pa.types.is_primitive(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def view_bytes(columns: Iterable[pa.ChunkedArray]) -> int:
    """Bytes of all texts and binaries that columns refer to by views, each as often as they do."""
    return sum(_views(chunk) for column in columns for chunk in column.chunks)


def text_bytes(columns: Iterable[pa.ChunkedArray], room: int) -> int:
    """Bytes of the texts that columns hold by valid places in dictionaries, written out; or a bound within `room`."""
    coded = [chunk for column in columns if _is_coded(column.type) for chunk in column.chunks]
    most = int(sum(len(chunk) * chunk.dictionary.get_total_buffer_size() for chunk in coded))
    return most if most <= room else sum(map(_text_bytes, coded))


def _text_bytes(coded: pa.DictionaryArray) -> int:
    lengths = pc.binary_length(coded.dictionary.cast(pa.large_string()))
    return pc.sum(lengths.take(coded.indices)).as_py() or 0


def types_in(kind: pa.DataType) -> Iterator[pa.DataType]:
    """A type, and all that it is made of."""
    yield kind
    if isinstance(kind, pa.BaseExtensionType):
        yield from types_in(kind.storage_type)
    elif pa.types.is_dictionary(kind):
        yield from types_in(kind.value_type)
    else:
        for place in range(kind.num_fields):
            yield from types_in(kind.field(place).type)


def is_text(kind: pa.DataType) -> bool:
    """Whether its values are texts, in one of the layouts for them."""
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
        raise ValueError("the Arrow stream is compressed in a way that was given up")
    return bytes(metadata)


def _spans(batch: Table) -> _Ints:
    """(start in the body, length) of each buffer that has any bytes."""
    count, start = batch.vector(_BUFFERS) or (0, 0)
    spans = np.frombuffer(batch.data, "<i8", 2 * count, start).reshape(count, 2)
    return spans[spans[:, 1] > 0]


def _unpacked(batch: Table, spans: _Ints, body: pa.Buffer | None) -> int:
    """Bytes of the buffers of a batch, those that lie in the same place counted each."""
    if batch.field(_COMPRESSION) is None:
        return sum(spans[:, 1].tolist())
    held = memoryview(body or b"")
    return sum(_stated(held, start, length) for start, length in spans.tolist())


def _are_aligned(spans: _Ints, body: pa.Buffer | None) -> bool:
    return body is None or not ((spans[:, 0] + body.address) % _ALIGNMENT).any()


def _stated(body: memoryview, start: int, length: int) -> int:
    """The length of a compressed buffer without compression."""
    if not 0 <= start <= len(body) - _PREFIX:
        raise ValueError("a buffer of the Arrow stream lies outside of it")
    (stated,) = struct.unpack_from("<q", body, start)
    if stated == _NOT_COMPRESSED:
        return length - _PREFIX
    if stated < 0:
        raise ValueError("a buffer of the Arrow stream has a length below zero")
    return int(stated)


def _views(array: pa.Array) -> int:
    """Bytes that the views in an array refer to, and in all arrays that it is made of."""
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
