"""The records of a partition as columns, without an object for each: `native.partition_queue` says how."""

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
    """The records of one partition that `consumer` fetches once it has been told where to start."""

    def __init__(self, consumer: Consumer, topic: str, partition: int) -> None:
        self._consumer, self._topic, self._partition = consumer, topic, partition
        self._waiting = NO_MESSAGES  # taken from the consumer, and not read for want of room
        self._queue = PartitionQueue(consumer, topic, partition)

    def start_at(self, offset: int) -> None:
        """Fetches from there on; what has been fetched before is dropped."""
        destroy_all(self._waiting)
        self._waiting = NO_MESSAGES
        self._consumer.assign([TopicPartition(self._topic, self._partition, offset)])

    def stop(self) -> None:
        """Fetches no more, until it is started again."""
        destroy_all(self._waiting)
        self._waiting = NO_MESSAGES
        self._consumer.unassign()

    def read(self, most: int, most_bytes: int) -> tuple[Records, list[Notice], bool]:
        """What has been fetched, at most so many and so large, but one of any size; does not wait.

        Returns:
            The records, what else there was to tell, and whether this was all there is.
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
        """Messages that fit, and whether there are no others."""
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
        """What the consumer has to tell besides; its callbacks run here."""
        while (message := self._consumer.poll(0)) is not None:
            error = message.error()
            if error is None:
                raise AssertionError(f"a record of {message.topic()} came past its partition's queue")
            yield Notice(error, message.offset() or 0)

    def close(self) -> None:
        destroy_all(self._waiting)
        self._queue.close()


def _event(message: int) -> Notice:
    code, text, offset = error_of(message)
    return Notice(KafkaError(code, text), offset)
