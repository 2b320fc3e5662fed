"""A replay that is being served: reads its source slice by slice, from where its last status says."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from contracts.errors import MdpError
from contracts.payloads.replay_status import ReplayStatus
from contracts.record import Headers
from mdp.ops.record_parts import RecordPart
from mdp.ops.replays.orders import Order
from transports.kafka.config import KafkaConfig
from transports.kafka.delivering import OutgoingRecord
from transports.kafka.topic_reader import Message, TopicReader

REPLAY_REQUEST_ID: Final = "replay_request_id"
REPLAYED_FROM: Final = "replayed_from"  # topic[partition]@offset

_SLICE: Final = 1_000  # records read for a transaction
_SLICE_BYTES: Final = 4_000_000


class Lost(MdpError):  # noqa: N818 - says what happened
    """The source has deleted records before they were read."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a partition: what to send of it.

    Attributes:
        partition: of the source, and of the target.
        next_offset: everything before it is in this slice or an earlier one.
        read: number of records read.
        unreadable: number of messages that cannot be read, or are of another version.
    """

    partition: int
    next_offset: int
    records: Sequence[OutgoingRecord] = ()
    read: int = 0
    unreadable: int = 0

    def over(self, status: ReplayStatus) -> dict[str, object]:
        """The fields of the status after this slice."""
        left = [(at, self.next_offset if at == self.partition else first, end) for at, first, end in status.left or ()]
        return {
            "left": left,
            "read": status.read + self.read,
            "sent": status.sent + len(self.records),
            "unreadable": status.unreadable + self.unreadable,
        }


class Run:
    """Iterates over the slices that are left of a request.

    Args:
        kafka: config of the bus.
        order: what to send.
        status: where the replay stands.
        most: records in a slice.

    Raises:
        SourceError: the source cannot be read.
        Lost: it no longer has all that is left.
    """

    def __init__(self, kafka: KafkaConfig, order: Order, status: ReplayStatus, most: int) -> None:
        self._order, self._status, self._most = order, status, min(most, _SLICE)
        self._reader = TopicReader(kafka, order.source)
        self._slices = self._all()

    def close(self) -> None:
        self._slices.close()
        self._reader.close()

    def next(self) -> Slice | None:
        """The next slice; None at the end."""
        return next(self._slices, None)

    def _all(self) -> Generator[Slice]:
        for partition, first, end in self._status.left or ():
            at = first
            for messages in self._reader.span(partition, first, end):
                if (messages[0].offset() or 0) > at:
                    self._check(partition, at)
                for part in _cut(messages, self._most):
                    yield self._slice(partition, part)
                at = _after(messages)
            if at < end:
                self._check(partition, at)
                yield Slice(partition, end)

    def _check(self, partition: int, at: int) -> None:
        """Raises Lost if the records from `at` on are gone, rather than of aborted transactions."""
        low, _ = self._reader.bounds(partition)
        if low > at:
            raise Lost(f"{self._order.source}[{partition}] has deleted its records from {at} to {low - 1}")

    def _slice(self, partition: int, messages: Sequence[Message]) -> Slice:
        parts, unreadable = self._order.selection.parts(messages, self._order.read)
        records = [self._outgoing(part, partition) for part in parts]
        return Slice(partition, _after(messages), records, len(messages), unreadable)

    def _outgoing(self, part: RecordPart, partition: int) -> OutgoingRecord:
        """The record as it was, and where from and on whose request it comes."""
        place = f"{self._order.source}[{partition}]@{part.message.offset()}"
        own = {REPLAY_REQUEST_ID: self._status.request_id.encode(), REPLAYED_FROM: place.encode()}
        headers: Headers = [(name, value) for name, value in part.headers if name not in own]
        key = part.message.key()
        key = key.encode() if isinstance(key, str) else key
        return OutgoingRecord(partition, key, part.value, [*headers, *own.items()])


def _after(messages: Sequence[Message]) -> int:
    return (messages[-1].offset() or 0) + 1


def _cut(messages: Sequence[Message], most: int) -> Iterator[Sequence[Message]]:
    """Slices of at most so many records, and so many bytes unless one record is larger."""
    first = size = 0
    for place, message in enumerate(messages):
        nbytes = len(message.value() or b"")
        if place > first and (place - first >= most or size + nbytes > _SLICE_BYTES):
            yield messages[first:place]
            first, size = place, 0
        size += nbytes
    if first < len(messages):
        yield messages[first:]
