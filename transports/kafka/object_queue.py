"""What librdkafka has fetched of a partition, by way of confluent-kafka's objects.

The same as `transports.kafka.record_queue`, at several times the cost, for versions whose memory is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, TypeVar

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from contracts.record import Records

_M = TypeVar("_M", bound=Sized)

_STEP: Final = 16  # so many times more messages are taken at once, as long as they are small


@dataclass(frozen=True, slots=True)
class Notice:
    """Something else than a record that a partition has to tell.

    Attributes:
        offset: what it is about, such as the end of the partition.
    """

    error: KafkaError
    offset: int


class ObjectQueue:
    """The records of one partition that `consumer` fetches once it has been told where to start."""

    def __init__(self, consumer: Consumer, topic: str, partition: int) -> None:
        self._consumer, self._topic, self._partition = consumer, topic, partition
        self._waiting: list[Message] = []  # taken from the consumer, and not read for want of room

    def start_at(self, offset: int) -> None:
        """Fetches from there on; what has been fetched before is dropped."""
        self._waiting = []
        self._consumer.assign([TopicPartition(self._topic, self._partition, offset)])

    def stop(self) -> None:
        """Fetches no more, until it is started again."""
        self._waiting = []
        self._consumer.unassign()

    def read(self, most: int, most_bytes: int) -> tuple[Records, list[Notice], bool]:
        """What has been fetched, at most so many and so large, but one of any size; does not wait.

        Returns:
            The records, what else there was to tell, and whether this was all there is.
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
        """Nothing: it comes with the records, and callbacks run where these are read."""
        return iter(())

    def close(self) -> None:
        self._waiting = []


def fill(
    messages: _M, most: int, take: Callable[[int], _M], join: Callable[[_M, _M], _M], fitting: Callable[[_M], int]
) -> tuple[_M, int, bool]:
    """Takes more messages until some do not fit, or there are no others.

    What is taken makes room for the consumer to fetch more: so large ones are taken one by one.

    Returns:
        The messages, how many of them fit, and whether there were no others.
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
    """How many of the first messages are no more and no larger than that together; one always is."""
    sizes = accumulate(len(message.value() or b"") + len(message.key() or b"") for message in messages[:most])
    return next((row for row, size in enumerate(sizes) if size > most_bytes and row > 0), min(len(messages), most))
