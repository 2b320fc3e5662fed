"""Records as Kafka delivers them: a fetch of one partition, before anything has been read into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

_MAX_MILLISECONDS: Final = 2**63 // 1_000_000 - 86_400_000 * 366

_CONTINUATION = b"\xff\xff\xff\xff"  # every message of an Arrow IPC stream starts with it

Headers = list[tuple[str, str | bytes | None]]
RecordHeaders = Headers | dict[str, str | bytes | None] | None  # of a record that was read

CONTENT_TYPE = "content-type"
CONTENT_TYPE_NAMES = (CONTENT_TYPE, "content_type")  # both spellings are about
JSON = "application/json"
MSGPACK = "application/msgpack"
ARROW = "application/vnd.apache.arrow.stream"


class Record(Protocol):
    """What the pipeline asks of a record; `confluent_kafka.Message` is one."""

    def value(self) -> bytes | None: ...
    def key(self) -> bytes | None: ...
    def offset(self) -> int: ...
    def timestamp(self) -> tuple[int, int]: ...
    def headers(self) -> Headers | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Records of one partition, in offset order."""

    topic: str
    partition: int
    next_offset: int
    records: Sequence[Record] = ()
    read_at: int = 0


def is_arrow(payload: bytes | None) -> bool:
    """Whether the bytes claim to be an Arrow IPC stream."""
    return payload is not None and payload.startswith(_CONTINUATION)


def header(record: Record, *names: str) -> str | None:
    """The last header of one of the names, as text; None where there is none. Costly: only where it matters."""
    for key, value in reversed(record.headers() or []):
        if key in names and value is not None:
            return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return None


def header_texts(headers: RecordHeaders) -> dict[str, str]:
    """All headers by name, as text; of one that comes again the last."""
    pairs = dict(headers or ()).items()
    return {name: data.decode("utf-8", "replace") if isinstance(data, bytes) else data or "" for name, data in pairs}


def offsets(records: Sequence[Record]) -> npt.NDArray[np.int64]:
    """The offset of each record of a partition."""
    first, last = records[0].offset(), records[-1].offset()
    if last - first == len(records) - 1:  # they ascend, so none is missing in between
        return np.arange(first, last + 1)
    return np.array([record.offset() for record in records], np.int64)


def timestamps(records: Sequence[Record]) -> npt.NDArray[np.int64]:
    """The records' own times in nanoseconds; a CreateTime is the producer's word and may be anything: it is bounded."""
    milliseconds = np.array([record.timestamp()[1] for record in records], np.int64)
    return np.clip(milliseconds, -1, _MAX_MILLISECONDS) * 1_000_000
