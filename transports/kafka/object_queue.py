"""What librdkafka has fetched from a partition, read as confluent-kafka's objects.

The same as `transports.kafka.record_queue`, at several times the cost, for versions with an unknown memory layout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, TypeVar

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from contracts.record import Records

_M = TypeVar("_M", bound=Sized)

_STEP: Final = 16  # growth of the number of messages taken at once, as long as they are small


@dataclass(frozen=True, slots=True)
class Notice:
    """An event of a partition that is not a record.

    Attributes:
        offset: the offset it concerns, such as the end of the partition.
    """

    error: KafkaError
    offset: int


class ObjectQueue:
    """The records of one partition that `consumer` fetches after `start_at`."""

    def __init__(self, consumer: Consumer, topic: str, partition: int) -> None:
        self._consumer, self._topic, self._partition = consumer, topic, partition
        self._waiting: list[Message] = []  # taken from the consumer, but beyond the limits of the last read

    def start_at(self, offset: int) -> None:
        """Fetches from `offset` on; drops what was fetched before."""
        self._waiting = []
        self._consumer.assign([TopicPartition(self._topic, self._partition, offset)])

    def stop(self) -> None:
        """Stops fetching until the next `start_at`."""
        self._waiting = []
        self._consumer.unassign()

    def read(self, most: int, most_bytes: int) -> tuple[Records, list[Notice], bool]:
        """Takes fetched records, at most `most` of `most_bytes` together, but at least one; does not wait.

        Returns:
            The records, other events, and whether nothing is left.
        """
        messages, fitting, is_all = fill(
            self._waiting,
            most,
            lambda asked: self._consumer.consume(asked, 0),
            lambda some, more: some + more,
            lambda some: _fitting(some, most, most_bytes),
        )
        self._waiting = messages[fitting:]
        taken = [(message, message.error()) for message in messages[:fitting]]
        events = [Notice(error, message.offset() or 0) for message, error in taken if error is not None]
        records = [message for message, error in taken if error is None]
        return Records.of(records), events, is_all and not self._waiting  # type: ignore[arg-type]

    def notices(self) -> Iterator[Notice]:
        """Nothing: events come with the records, and callbacks run in `read`."""
        return iter(())

    def close(self) -> None:
        self._waiting = []


def fill(
    messages: _M, most: int, take: Callable[[int], _M], join: Callable[[_M, _M], _M], fitting: Callable[[_M], int]
) -> tuple[_M, int, bool]:
    """Takes more messages until some do not fit, or none are left.

    Taking messages lets the consumer fetch more, so large ones are taken one by one.

    Returns:
        The messages, how many of them fit, and whether none are left.
    """
    step, is_all = 1, False
    count = fitting(messages)
    while count == len(messages) < most and not is_all:
        asked = min(step, most - len(messages))
        more = take(asked)
        is_all, step = len(more) < asked, step * _STEP
        messages = join(messages, more)
        count = fitting(messages)
    return messages, count, is_all


def _fitting(messages: list[Message], most: int, most_bytes: int) -> int:
    """How many messages from the first on stay within `most` and `most_bytes` together; at least one."""
    sizes = accumulate(len(message.value() or b"") + len(message.key() or b"") for message in messages[:most])
    return next((row for row, size in enumerate(sizes) if size > most_bytes and row > 0), min(len(messages), most))
