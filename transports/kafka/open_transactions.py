"""Transactions that stay open in a topic, and keep the records after them from being read.

A consumer of committed records reads up to the last stable offset: the first record of the oldest open transaction. An
ordinary producer keeps a transaction open for milliseconds. That of a producer that hangs or has died stays open until
its timeout, which may be as long as the broker's transaction.max.timeout.ms (15 minutes), and one that its coordinator
has lost track of, for ever.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final, NamedTuple

from confluent_kafka import Consumer, TopicPartition

from contracts.timestamps import format_timestamp
from telemetry.metrics import OPEN_TRANSACTION
from transports.kafka.config import KafkaConfig

LONG_SECONDS: Final = 5.0  # open for longer than that, a transaction is worth a word
_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.1

log = logging.getLogger("mdp.sources")


class OpenTransaction(NamedTuple):
    """A partition that cannot be read to its end.

    Attributes:
        offset: of the first record of the oldest open transaction.
        end: of the log.
    """

    topic: str
    partition: int
    offset: int
    end: int

    def __str__(self) -> str:
        return (
            f"{self.topic}[{self.partition}]: a transaction stays open at offset {self.offset}, and holds back the "
            f"{self.end - self.offset:,} records from there on"
        )

    def remedy(self, config: KafkaConfig) -> str:
        """How to end the transaction. The broker finds the producer by the offset at which the transaction began."""
        return (
            f"end its producer or start it again, or run `kafka-transactions.sh --bootstrap-server {config.brokers} "
            f"abort --topic {self.topic} --partition {self.partition} --start-offset {self.offset}`"
        )


@dataclass(slots=True)
class _Sighting:
    offset: int
    since: float  # seconds of the monotonic clock
    is_told: bool = False


class TransactionWatch:
    """Warns of transactions of a topic that stay open, and shows their age in a metric. Not thread-safe."""

    def __init__(self, config: KafkaConfig, topic: str) -> None:
        self._config, self._topic = config, topic
        self._seen: dict[int, _Sighting] = {}

    def note(self, ends: Mapping[int, int], stable: Mapping[int, int]) -> None:
        """Takes the ends of partitions, and their last stable offsets, asked for afterwards.

        A partition without a stable offset has none, as it has been read to an earlier end.
        """
        blocked = {partition: offset for partition, offset in stable.items() if offset < ends[partition]}
        for partition in self._seen.keys() - blocked.keys():
            self._end(partition)
        for partition, offset in blocked.items():
            if partition in self._seen and self._seen[partition].offset != offset:  # the next transaction is open
                self._end(partition)
            sighting = self._seen.setdefault(partition, _Sighting(offset, time.monotonic()))
            self._look(sighting, OpenTransaction(self._topic, partition, offset, ends[partition]))

    def _look(self, sighting: _Sighting, transaction: OpenTransaction) -> None:
        seconds = time.monotonic() - sighting.since
        OPEN_TRANSACTION.labels(self._topic, str(transaction.partition)).set(seconds)
        if seconds < LONG_SECONDS or sighting.is_told:
            return
        sighting.is_told = True
        since = format_timestamp(int((time.time() - seconds) * 1e3) * 1_000_000)
        fields = {
            "topic": self._topic,
            "partition": transaction.partition,
            "offset": transaction.offset,
            "since": since,
        }
        log.warning("%s (since %s); %s", transaction, since, transaction.remedy(self._config), extra=fields)

    def _end(self, partition: int) -> None:
        sighting = self._seen.pop(partition)
        OPEN_TRANSACTION.labels(self._topic, str(partition)).set(0)
        if sighting.is_told:
            seconds = time.monotonic() - sighting.since
            log.warning(
                "%s[%d]: the transaction at offset %d has ended after %.1f s",
                self._topic,
                partition,
                sighting.offset,
                seconds,
                extra={"topic": self._topic, "partition": partition, "seconds": round(seconds, 1)},
            )


def open_transactions(config: KafkaConfig, places: Iterable[tuple[str, int]], seconds: float) -> list[OpenTransaction]:
    """The partitions (topic, number) that one transaction has kept from being read to their ends for `seconds`.

    Returns at once if no transaction is open.

    Raises:
        KafkaException: no broker answers.
    """
    with (
        closing(_consumer(config, "read_uncommitted")) as whole,
        closing(_consumer(config, "read_committed")) as stable,
    ):
        ends = {place: _end(whole, place) for place in places}
        open_at = {place: offset for place, end in ends.items() if (offset := _end(stable, place)) < end}
        deadline = time.monotonic() + seconds
        while open_at and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            open_at = {place: offset for place, offset in open_at.items() if _end(stable, place) == offset}
    return [OpenTransaction(*place, offset, ends[place]) for place, offset in open_at.items()]


def _consumer(config: KafkaConfig, isolation_level: str) -> Consumer:
    return Consumer(config.client(group_id="mdp-reader", isolation_level=isolation_level))


def _end(consumer: Consumer, place: tuple[str, int]) -> int:
    return int(consumer.get_watermark_offsets(TopicPartition(*place), timeout=_SECONDS)[1])
