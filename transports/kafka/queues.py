"""How records come out of librdkafka: out of its memory, where that is known, or as objects."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final, Protocol

from confluent_kafka import Consumer

from contracts.record import Records
from transports.kafka.object_queue import Notice, ObjectQueue
from transports.kafka.queue_probe import refusal

log = logging.getLogger("mdp.sources")


class PartitionQueue(Protocol):
    """What is fetched of one partition; `transports.kafka.record_queue` says more."""

    def start_at(self, offset: int) -> None: ...
    def stop(self) -> None: ...
    def read(self, most: int, most_bytes: int) -> tuple[Records, list[Notice], bool]: ...
    def notices(self) -> Iterator[Notice]: ...
    def close(self) -> None: ...


def open_queue(consumer: Consumer, topic: str, partition: int) -> PartitionQueue:
    """Of a partition that nobody else reads with this consumer."""
    _say_once()
    return _KIND(consumer, topic, partition)


@cache
def _say_once() -> None:
    if (reason := refusal()) is not None:
        log.warning("records of Kafka are read as objects, at several times the cost: %s", reason)


def _kind() -> Callable[[Consumer, str, int], PartitionQueue]:
    if refusal() is not None:
        return ObjectQueue
    from transports.kafka.record_queue import RecordQueue  # noqa: PLC0415 - it cannot be loaded with every version

    return RecordQueue


_KIND: Final = _kind()  # chosen here, so that a process that is forked has all of it loaded
