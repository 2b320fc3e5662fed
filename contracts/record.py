"""Undecoded Kafka records: a fetch of one partition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from contracts.binary import BinaryColumn
from contracts.trace_context import TRACEPARENT, TRACEPARENT_BYTES

_MAX_MILLISECONDS: Final = 2**63 // 1_000_000 - 86_400_000 * 366

GZIP_MAGIC: Final = b"\x1f"  # what no value of another form begins with

_CONTINUATION = b"\xff\xff\xff\xff"  # every message of an Arrow IPC stream starts with it

_Ints = npt.NDArray[np.int64]
Buffer = bytes | memoryview

Headers = list[tuple[str, str | bytes | None]]
RecordHeaders = Headers | dict[str, str | bytes | None] | None  # of a consumed record

TOMBSTONE: Final = (
    "the record has no value: it is a tombstone, which deletes nothing here; send corrections as new records, and give "
    "the topic cleanup.policy=delete"
)

CONTENT_TYPE = "content-type"
CONTENT_TYPE_NAMES = (CONTENT_TYPE, "content_type")  # both spellings are in use
MAX_CONTENT_TYPE_BYTES: Final = 256  # a longer one is truncated
JSON = "application/json"
MSGPACK = "application/msgpack"
ARROW = "application/vnd.apache.arrow.stream"


class Record(Protocol):
    """A single record, such as a `confluent_kafka.Message`."""

    def value(self) -> bytes | None: ...
    def key(self) -> bytes | None: ...
    def offset(self) -> int: ...
    def timestamp(self) -> tuple[int, int]: ...
    def headers(self) -> Headers | None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Records of one partition in offset order, as columns of one length.

    Attributes:
        content_types: None if the value is recognizable as JSON, or without a header.
        times_ms: the records' timestamps; -1 without one.
        traces: the header `traceparent`, where there is one of the length that it has to have.
        packed: by offset, all headers of the records whose values are packed, or lie elsewhere.
    """

    values: BinaryColumn
    keys: BinaryColumn
    content_types: BinaryColumn
    offsets: _Ints
    times_ms: _Ints
    traces: BinaryColumn
    packed: Mapping[int, Headers] = field(default_factory=dict)

    @classmethod
    def of_values(cls, values: Sequence[bytes | None], offsets: Sequence[int], times_ms: Sequence[int]) -> Records:
        """Records without keys and headers."""
        nothing = BinaryColumn.of([None] * len(values))
        places = np.array(offsets, np.int64), np.array(times_ms, np.int64)
        return cls(BinaryColumn.of(values), nothing, nothing, *places, nothing)

    @classmethod
    def of(cls, records: Sequence[Record]) -> Records:
        """The columns of single records."""
        values = [record.value() for record in records]
        types = [_content_type(record, value) for record, value in zip(records, values, strict=True)]
        return cls(
            BinaryColumn.of(values),
            BinaryColumn.of([record.key() for record in records]),
            BinaryColumn.of(types),
            np.array([record.offset() for record in records], np.int64),
            np.array([record.timestamp()[1] for record in records], np.int64),
            BinaryColumn.of(map(_trace, records)),
            {record.offset(): header_pairs(record.headers()) for record in records if is_packed(record.value())},
        )

    def __len__(self) -> int:
        return len(self.offsets)

    def __add__(self, more: Records) -> Records:
        return Records(
            BinaryColumn.joined([self.values, more.values]),
            BinaryColumn.joined([self.keys, more.keys]),
            BinaryColumn.joined([self.content_types, more.content_types]),
            np.concatenate([self.offsets, more.offsets]),
            np.concatenate([self.times_ms, more.times_ms]),
            BinaryColumn.joined([self.traces, more.traces]),
            {**self.packed, **more.packed},
        )

    @property
    def size(self) -> int:
        """Bytes of keys and values."""
        columns = self.values, self.keys, self.content_types, self.traces
        return sum(column.data.nbytes for column in columns)

    def first(self, count: int) -> Records:
        return self._between(slice(count))

    def after(self, count: int) -> Records:
        """All but the first `count`."""
        return self._between(slice(count, None))

    def _between(self, span: slice) -> Records:
        return Records(
            self.values.between(span),
            self.keys.between(span),
            self.content_types.between(span),
            self.offsets[span],
            self.times_ms[span],
            self.traces.between(span),
            self.packed,
        )

    def times(self) -> _Ints:
        """The timestamps in nanoseconds, clamped, as a CreateTime is set by the producer and may be anything."""
        return np.clip(self.times_ms, -1, _MAX_MILLISECONDS) * 1_000_000

    def time(self, index: int) -> int:
        """That of one of them."""
        return min(max(int(self.times_ms[index]), -1), _MAX_MILLISECONDS) * 1_000_000

    def content_type(self, index: int) -> str:
        told = self.content_types[index]
        return JSON if told is None else told.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Records of one partition, in offset order."""

    topic: str
    partition: int
    next_offset: int
    records: Records
    read_at: int = 0


def is_surely_json(value: bytes | None) -> bool:
    """Whether it is JSON or missing, whatever its header says: msgpack and Arrow events begin differently."""
    return value is None or value[:1] == b"{"


def is_packed(value: bytes | None) -> bool:
    """Whether it is packed by gzip, or empty, as one that lies in a blob store is."""
    return value is not None and value[:1] in (b"", GZIP_MAGIC)


def _content_type(record: Record, value: bytes | None) -> bytes | None:
    told = None if is_surely_json(value) else header(record, *CONTENT_TYPE_NAMES)
    return None if told is None else told.encode()[:MAX_CONTENT_TYPE_BYTES]


def _trace(record: Record) -> bytes | None:
    told = header_bytes(record.headers(), TRACEPARENT)
    return told if told is not None and len(told) == TRACEPARENT_BYTES else None


def is_arrow(payload: Buffer | None) -> bool:
    """Whether the bytes claim to be an Arrow IPC stream."""
    return payload is not None and payload[:4] == _CONTINUATION


def header(record: Record, *names: str) -> str | None:
    """The last header with one of the names, as text; None if there is none. Costly: use it only where needed."""
    for key, value in reversed(record.headers() or []):
        if key in names and value is not None:
            return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return None


def header_pairs(headers: RecordHeaders) -> Headers:
    """All headers in their order, in whichever form the client has them."""
    return list(headers.items()) if isinstance(headers, dict) else list(headers or ())


def header_texts(headers: RecordHeaders) -> dict[str, str]:
    """All headers by name, as text; the last one of repeated names."""
    pairs = dict(headers or ()).items()
    return {name: data.decode("utf-8", "replace") if isinstance(data, bytes) else data or "" for name, data in pairs}


def header_bytes(headers: RecordHeaders, name: str) -> bytes | None:
    """The last header with that name, as bytes; None if there is none."""
    data = dict(headers or ()).get(name)
    return data.encode() if isinstance(data, str) else data
