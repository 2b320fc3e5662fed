"""Marks in the DLQ topic: which of its events have been redriven, and how often an event has been retried.

A mark is a record among the refused ones, committed in one Kafka transaction with the redriven event. It refers to the
event's origin in the log, not to a record of the DLQ, as two flows may have refused the same event.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from codec.output_headers import PIPELINE, of_message, of_schema
from contracts.record import Headers
from contracts.schema_names import DLQ_MARK
from transports.kafka.topic_reader import Message

MARK: Final = "dlq_mark"
REDRIVEN_FROM: Final = "redriven_from"
_REDRIVEN: Final = b"redriven"

MARK_HEADERS: Final[Headers] = [*of_schema(DLQ_MARK), (MARK, _REDRIVEN)]


class Origin(NamedTuple):
    """An event's row in the log."""

    topic: str
    partition: int
    offset: int
    row: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}" + (f".{self.row}" if self.row else "")


class Mark(msgspec.Struct, frozen=True):
    """Records that the event at `origin` was redriven to `redriven_to` as retry number `retry_count`."""

    origin: Origin
    redriven_to: Origin
    retry_count: int

    def headers(self, failed_at: int, trace: bytes | None) -> Headers:
        """Of its record, in the trace of the event that was refused at that time."""
        place = f"{self.origin.topic}[{self.origin.partition}]".encode()
        key = f"{self.origin}#{self.retry_count}"
        return MARK_HEADERS + of_message(DLQ_MARK, failed_at, key, place, PIPELINE, trace=trace)


_decoder: Final = msgspec.json.Decoder(Mark)


@dataclass
class Marks:
    """All marks together; memory grows with the number of redriven events."""

    redriven: set[Origin] = field(default_factory=set)
    _retries: dict[Origin, int] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[Message]) -> Marks:
        """Collect the marks among records of the DLQ."""
        marks = cls()
        for mark in filter(None, map(mark_of, records)):
            marks.add(mark)
        return marks

    def add(self, mark: Mark) -> None:
        self.redriven.add(mark.origin)
        self._retries[mark.redriven_to] = mark.retry_count

    def retries(self, origin: Origin) -> int:
        """How often the event refused there had been redriven before."""
        return self._retries.get(origin, 0)


def mark_of(record: Message) -> Mark | None:
    """A record of the DLQ as a mark; None if it is a refused record, or only looks like a mark."""
    if dict(record.headers() or ()).get(MARK) != _REDRIVEN:
        return None
    try:
        return _decoder.decode(record.value() or b"")
    except msgspec.DecodeError:
        return None
