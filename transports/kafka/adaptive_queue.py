"""The records of a partition by narrow fetches, or by wide ones while every batch they return is small.

Reading begins narrow, which can read everything. While it lags and its fetches return many small records, a second
consumer takes over with wide fetches. As soon as that one gets anything other than records and the end of the
partition, or nothing for a second, the first continues at the same offset and reports the errors. A batch that is too
large for the second consumer closes its connection, which is reported as an error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError

from contracts.record import Records
from transports.kafka.config import ClientOption
from transports.kafka.fetches import NARROW, WIDE, Answers
from transports.kafka.object_queue import Notice
from transports.kafka.queues import PartitionQueue, open_queue

_PATIENCE_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 10.0  # until wide fetches are tried again

Connect = Callable[[Mapping[str, ClientOption], Mapping[str, Any]], Consumer]


class AdaptiveQueue:
    """One partition, as a `PartitionQueue`; `connect` opens a consumer with further options and with callbacks.

    Attributes:
        consumer: the narrow one, which is always open, for other requests about the partition.
    """

    def __init__(self, connect: Connect, topic: str, partition: int) -> None:
        self._connect, self._place = connect, (topic, partition)
        self._answers = Answers()
        self.consumer = connect(NARROW, self._answers.callbacks)
        self._narrow = open_queue(self.consumer, *self._place)
        self._wide: tuple[Consumer, PartitionQueue] | None = None
        self._is_broken = False  # whether the connection of the wide consumer was lost
        self._next = 0
        self._due = 0.0  # the deadline of the wide consumer for its next records
        self._not_before = 0.0

    def start_at(self, offset: int) -> None:
        """Fetches from `offset` on; drops what was fetched before."""
        self._close_wide()
        self._next = offset
        self._narrow.start_at(offset)

    def read(self, most: int, most_bytes: int) -> tuple[Records, list[Notice], bool]:
        """See `RecordQueue.read`."""
        if self._wide is None:
            found = self._narrow.read(most, most_bytes)
            self._note(*found[:2])
            if self._answers.are_many_and_small and time.monotonic() > self._not_before:
                self._widen()
            return found
        self._narrow.read(1, 1)  # returns nothing, but serves its callbacks
        records, events, is_all = self._wide[1].read(most, most_bytes)
        ends = [event for event in events if event.error.code() == KafkaError._PARTITION_EOF]
        self._note(records, ends)
        if len(ends) < len(events) or time.monotonic() > self._due:
            self._narrow_down()
        return records, ends, is_all

    def notices(self) -> Iterator[Notice]:
        """Further events of the consumers; their callbacks run here."""
        yield from self._narrow.notices()
        if self._wide is not None and (any(self._wide[1].notices()) or self._is_broken):
            self._narrow_down()

    def close(self) -> None:
        self._close_wide()
        self._narrow.close()
        self.consumer.close()

    def _note(self, records: Records, events: list[Notice]) -> None:
        if len(records):
            self._next = int(records.offsets[-1]) + 1
        for event in events:
            if event.error.code() == KafkaError._PARTITION_EOF:
                self._next = max(self._next, event.offset)
                self._answers.reach_the_end()
        if len(records) or events:
            self._due = time.monotonic() + _PATIENCE_SECONDS

    def _widen(self) -> None:
        self._narrow.stop()
        self._is_broken = False
        consumer = self._connect(WIDE, {"error_cb": self._break})
        queue = open_queue(consumer, *self._place)
        queue.start_at(self._next)
        self._wide, self._due = (consumer, queue), time.monotonic() + _PATIENCE_SECONDS

    def _break(self, _: KafkaError) -> None:
        self._is_broken = True

    def _narrow_down(self) -> None:
        self._not_before = time.monotonic() + _PAUSE_SECONDS
        self.start_at(self._next)

    def _close_wide(self) -> None:
        if self._wide is not None:
            consumer, queue = self._wide
            self._wide = None
            queue.close()
            consumer.close()
