"""The records of a partition as columns, without an object for each; see `native.partition_queue`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from confluent_kafka import Consumer, KafkaError, TopicPartition

from contracts.record import Records
from native.partition_queue import (
    NO_MESSAGES,
    Messages,
    PartitionQueue,
    destroy_all,
    error_of,
    failed,
    fitting,
    records_of,
)
from transports.kafka.object_queue import Notice, fill

_NOTHING: Final = records_of(NO_MESSAGES)


class RecordQueue:
    """The records of one partition that `consumer` fetches after `start_at`."""

    def __init__(self, consumer: Consumer, topic: str, partition: int) -> None:
        self._consumer, self._topic, self._partition = consumer, topic, partition
        self._waiting = NO_MESSAGES  # taken from the consumer, but beyond the limits of the last read
        self._queue = PartitionQueue(consumer, topic, partition)

    def start_at(self, offset: int) -> None:
        """Fetches from `offset` on; drops what was fetched before."""
        destroy_all(self._waiting)
        self._waiting = NO_MESSAGES
        self._consumer.assign([TopicPartition(self._topic, self._partition, offset)])

    def stop(self) -> None:
        """Stops fetching until the next `start_at`."""
        destroy_all(self._waiting)
        self._waiting = NO_MESSAGES
        self._consumer.unassign()

    def read(self, most: int, most_bytes: int) -> tuple[Records, list[Notice], bool]:
        """Takes fetched records, at most `most` of `most_bytes` together, but at least one; does not wait.

        Returns:
            The records, other events, and whether nothing is left.
        """
        messages, is_all = self._taken(most, most_bytes)
        if not len(messages):
            return _NOTHING, [], is_all
        try:
            is_event = failed(messages)
            events = [_event(address) for address in messages[is_event].tolist()]
            return records_of(messages[~is_event] if events else messages), events, is_all
        finally:
            destroy_all(messages)

    def _taken(self, most: int, most_bytes: int) -> tuple[Messages, bool]:
        """Messages within the limits, and whether none are left."""
        messages, count, is_all = fill(
            self._waiting,
            most,
            self._queue.take,
            lambda some, more: np.concatenate([some, more]),
            lambda some: fitting(some, most, most_bytes),
        )
        self._waiting = messages[count:]
        return messages[:count], is_all and not len(self._waiting)

    def notices(self) -> Iterator[Notice]:
        """Further events of the consumer; its callbacks run here."""
        while (message := self._consumer.poll(0)) is not None:
            error = message.error()
            if error is None:
                raise AssertionError(f"a record of {message.topic()} bypassed its partition's queue")
            yield Notice(error, message.offset() or 0)

    def close(self) -> None:
        destroy_all(self._waiting)
        self._queue.close()


def _event(message: int) -> Notice:
    code, text, offset = error_of(message)
    return Notice(KafkaError(code, text), offset)
