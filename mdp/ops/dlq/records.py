"""Reads and selects the records of the DLQ topic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Final

from codec.output_records import DLQ_ERROR, DLQ_REASON, FAILED_AT, SOURCE_ROWS, STUB, source_of
from codec.stubs import Stub, read_stub
from contracts.headers import SCHEMA_FQDN, SCHEMA_VERSION
from contracts.record import CONTENT_TYPE, header_bytes, header_texts
from contracts.schema_names import EVENT, SchemaName
from contracts.trace_context import TRACEPARENT
from mdp.ops.dlq.marks import Marks, Origin, mark_of
from transports.kafka.topic_reader import Message, TopicReader

UNKNOWN: Final = "unknown"  # as a reason: the record was not written by the pipeline
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class DlqRecord:
    """A refused row of the log, or a record for several of its rows.

    Attributes:
        origin: its row in the log; None if the record does not say.
        failed_at: when it was refused, in nanoseconds since the epoch.
        payload: its original bytes, or the beginning of them.
        stub: describes the original of a truncated payload; None if the payload is complete.
        rows: the refused rows of the payload, as a `row_set`; None if all were refused.
        retries: how often it had been redriven before it was refused.
        redriven: whether it has been redriven since.
        trace: the header `traceparent`.
        schema: what its payload is, or should have been.
    """

    partition: int
    offset: int
    reason: str
    error: str
    origin: Origin | None
    failed_at: int
    content_type: str | None
    key: bytes | None
    payload: bytes | None
    rows: bytes | None
    stub: Stub | None
    retries: int
    redriven: bool
    trace: bytes | None
    schema: SchemaName = EVENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A selection of the DLQ's records; None does not restrict.

    Attributes:
        contains: a substring of the error, the key or the payload.
        start, end: start ≤ failed_at < end, in nanoseconds.
        partition, offset: of the DLQ.
    """

    reason: str | None = None
    contains: str | None = None
    start: int | None = None
    end: int | None = None
    partition: int | None = None
    offset: int | None = None
    pending: bool = False

    def takes(self, record: DlqRecord) -> bool:
        return (
            self.reason in (None, record.reason)
            and self.offset in (None, record.offset)
            and (self.start is None or record.failed_at >= self.start)
            and (self.end is None or record.failed_at < self.end)
            and not (self.pending and record.redriven)
            and (self.contains is None or _contains(record, self.contains))
        )


def _contains(record: DlqRecord, text: str) -> bool:
    data = text.encode()
    return text in record.error or data in (record.key or b"") or data in (record.payload or b"")


class Dlq:
    """The DLQ as of its opening: the end offsets of its partitions, and the marks up to there.

    Raises:
        SourceError: the topic cannot be read, or a transaction stays open in it.
    """

    def __init__(self, reader: TopicReader) -> None:
        self._reader = reader
        self._bounds = reader.settled_bounds()  # else a mark might be missed
        self.marks = Marks.of(chain.from_iterable(map(self._messages, reader.partitions)))

    def records(self, chosen: Chosen) -> Iterator[DlqRecord]:
        """Yield the chosen records, partition by partition, in offset order."""
        for partition in self._reader.partitions:
            if chosen.partition in (None, partition):
                found = (record(message, self.marks) for message in self._messages(partition))
                yield from (one for one in found if one is not None and chosen.takes(one))

    def _messages(self, partition: int) -> Iterator[Message]:
        return chain.from_iterable(self._reader.span(partition, *self._bounds[partition]))


def record(message: Message, marks: Marks) -> DlqRecord | None:
    """A record of the DLQ topic; None for a mark."""
    headers = message.headers()
    if mark_of(message) is not None:
        return None
    texts, source = header_texts(headers), source_of(headers)
    origin = None if source is None else Origin(*source)
    return DlqRecord(
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        reason=texts.get(DLQ_REASON, UNKNOWN),
        error=texts.get(DLQ_ERROR, ""),
        origin=origin,
        failed_at=_failed_at(texts.get(FAILED_AT), message.timestamp()[1]),
        content_type=texts.get(CONTENT_TYPE),
        key=as_bytes(message.key()),
        payload=message.value(),
        rows=header_bytes(headers, SOURCE_ROWS),
        stub=read_stub(header_bytes(headers, STUB)),
        retries=0 if origin is None else marks.retries(origin),
        redriven=origin in marks.redriven,
        trace=header_bytes(headers, TRACEPARENT),
        schema=_schema(texts),
    )


def _schema(texts: Mapping[str, str]) -> SchemaName:
    """An event, if it does not say: so do records of versions of mdp before headers."""
    fqdn, version = texts.get(SCHEMA_FQDN), texts.get(SCHEMA_VERSION)
    return SchemaName(fqdn, version) if fqdn and version else EVENT


def _failed_at(text: str | None, timestamp_ms: int) -> int:
    """The time in the header, or else the record's timestamp."""
    try:
        since = datetime.fromisoformat(text or "") - _EPOCH
    except (ValueError, TypeError):
        return max(timestamp_ms, 0) * 1_000_000
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


def as_bytes(key: bytes | str | None) -> bytes | None:
    """A key as bytes; the client declares it as bytes or str."""
    return key.encode() if isinstance(key, str) else key
