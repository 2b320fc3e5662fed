from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from tests.harness import until
from transports.kafka.adaptive_queue import AdaptiveQueue
from transports.kafka.fetches import NARROW, WIDE

SMALL = b"x" * 200
COUNT = 5_000
UNPACKED, PLAIN = b"a" * 400_000, bytes(range(256)) * 2_000


def send(kafka: str, topic: str, values: list[bytes], compression: str) -> None:
    """Each in a batch of its own."""
    options = {"batch.num.messages": 1, "linger.ms": 0, "compression.type": compression}
    producer = Producer({"bootstrap.servers": kafka, **options})
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(60) == 0


class Reading:
    """Reads a partition with little room, and notes which consumers were opened for it."""

    def __init__(self, kafka: str, topic: str) -> None:
        self._kafka = kafka
        self.opened: list[Mapping[str, Any]] = []
        self.queue = AdaptiveQueue(self._connect, topic, 0)
        self.offsets: list[int] = []
        self.at_end = False
        self.queue.start_at(0)

    def _connect(self, limits: Mapping[str, Any], callbacks: Mapping[str, Any]) -> Consumer:
        self.opened.append(limits)
        return Consumer(
            {
                "bootstrap.servers": self._kafka,
                "group.id": "reading",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": 256,
                "fetch.queue.backoff.ms": 5,
                **{name.replace("_", "."): value for name, value in limits.items()},
                **callbacks,
            }
        )

    def read(self, most: int) -> int:
        """How many have been read by now."""
        records, events, _ = self.queue.read(most, 1_000_000)
        self.offsets += records.offsets.tolist()
        self.at_end = self.at_end or any(chain(events, self.queue.notices()))
        return len(self.offsets)


@pytest.mark.parametrize(("large", "compression"), [(UNPACKED, "zstd"), (PLAIN, "none")])
def test_what_is_too_large_for_wide_fetches_is_read_by_narrow_ones(
    kafka: str, topic: Callable[..., str], large: bytes, compression: str
) -> None:
    name = topic()
    send(kafka, name, [SMALL] * COUNT, "none")
    send(kafka, name, [large], compression)
    send(kafka, name, [SMALL] * COUNT, "none")
    reading = Reading(kafka, name)
    until(lambda: reading.read(1) and WIDE in reading.opened, "wide fetches")
    assert len(reading.offsets) < COUNT
    until(lambda: reading.read(1_000) > 2 * COUNT, "all records")
    reading.queue.close()
    assert reading.offsets == list(range(2 * COUNT + 1))
    assert reading.opened == [NARROW, WIDE]


def test_what_is_too_large_is_read_if_it_comes_when_all_else_has_been_read(
    kafka: str, topic: Callable[..., str]
) -> None:
    name = topic()
    send(kafka, name, [SMALL] * COUNT, "none")
    reading = Reading(kafka, name)
    until(lambda: reading.read(1) and WIDE in reading.opened, "wide fetches")
    until(lambda: reading.read(1_000) == COUNT and reading.at_end, "the end")
    send(kafka, name, [PLAIN], "none")
    until(lambda: reading.read(1) > COUNT, "the large one")
    reading.queue.close()
    assert reading.offsets == list(range(COUNT + 1))


def test_large_batches_are_fetched_narrow_one_by_one(kafka: str, topic: Callable[..., str]) -> None:
    name, count = topic(), 100
    send(kafka, name, [UNPACKED] * count, "lz4")
    reading = Reading(kafka, name)
    until(lambda: reading.read(1) == count, "all records")
    reading.queue.close()
    assert reading.opened == [NARROW]
