"""Chooses how records are read from librdkafka: from its memory if the layout is known, else as objects."""

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
    """The fetched records of one partition; see `transports.kafka.record_queue`."""

    def start_at(self, offset: int) -> None: ...
    def stop(self) -> None: ...
    def read(self, most: int, most_bytes: int) -> tuple[Records, list[Notice], bool]: ...
    def notices(self) -> Iterator[Notice]: ...
    def close(self) -> None: ...


def open_queue(consumer: Consumer, topic: str, partition: int) -> PartitionQueue:
    """Opens the queue of a partition that nothing else reads with this consumer."""
    _warn_once()
    return _KIND(consumer, topic, partition)


@cache
def _warn_once() -> None:
    if (reason := refusal()) is not None:
        log.warning("Kafka records are read as objects, at several times the cost: %s", reason)


def _kind() -> Callable[[Consumer, str, int], PartitionQueue]:
    if refusal() is not None:
        return ObjectQueue
    from transports.kafka.record_queue import RecordQueue  # noqa: PLC0415 - it cannot be loaded with every version

    return RecordQueue


_KIND: Final = _kind()  # chosen at import, so that a forked process has it loaded
