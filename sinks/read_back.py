"""How far the log has been turned into records: read from the output topics themselves."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from contracts.bus_config import KafkaConfig
from sinks.records import Cause, Identity

NOTHING: Final[Cause] = (-1, -1)
_FIRST_STEP: Final = 64
_SECONDS: Final = 10.0
_OPEN_SECONDS: Final = 1.0  # far longer than a transaction takes whose writer is alive
_LOOK_SECONDS: Final = 0.02


def last_causes(config: KafkaConfig, topics: Iterable[str], writer: Identity) -> dict[str, Cause]:
    """The cause of the last committed record of `writer` in its partition of each topic.

    Outputs leave in the order of the log, so everything up to it is there. Records of other origins, and the markers
    that transactions leave behind, are stepped over by looking back further and further.
    """
    committed, uncommitted = (_consumer(config, level) for level in ("read_committed", "read_uncommitted"))
    with closing(committed), closing(uncommitted):
        return {
            topic: _last_cause(committed, uncommitted, TopicPartition(topic, writer.partition), writer)
            for topic in topics
        }


def _consumer(config: KafkaConfig, isolation_level: str) -> Consumer:
    """It is asked where a partition ends, too: a new admin client waits three seconds for that every now and then."""
    return Consumer(
        config.client(
            group_id=config.consumer_group,
            enable_auto_commit=False,
            enable_partition_eof=True,
            isolation_level=isolation_level,
            fetch_wait_max_ms=10,  # at the end of a partition there is nothing to wait for
        )
    )


def _last_cause(committed: Consumer, uncommitted: Consumer, place: TopicPartition, writer: Identity) -> Cause:
    low, high = _bounds(committed, uncommitted, place)
    step, end = _FIRST_STEP, high
    while end > low:
        start = max(low, end - step)
        found = _last_between(committed, TopicPartition(place.topic, place.partition, start), end, writer)
        if found is not None:
            return found
        step, end = 2 * step, start
    return NOTHING


def _bounds(committed: Consumer, uncommitted: Consumer, place: TopicPartition) -> tuple[int, int]:
    """The first offset and the end of a partition, all transactions up to there having come to theirs.

    As long as one is open, nothing after its first record can be read, our own records neither. One whose writer has
    died is given up by Kafka after a minute.
    """
    _, end = uncommitted.get_watermark_offsets(place, timeout=_SECONDS)
    deadline = time.monotonic() + _OPEN_SECONDS
    while True:
        low, high = committed.get_watermark_offsets(place, timeout=_SECONDS)
        if high >= end:
            return low, high
        if time.monotonic() > deadline:
            where = f"{place.topic}[{place.partition}]"
            raise KafkaException(
                KafkaError(KafkaError._TIMED_OUT, f"a transaction of another writer is open in {where}")
            )
        time.sleep(_LOOK_SECONDS)


def _last_between(consumer: Consumer, start: TopicPartition, end: int, writer: Identity) -> Cause | None:
    consumer.assign([start])
    last: Cause | None = None
    while True:
        message = consumer.poll(_SECONDS)
        if message is None:
            raise KafkaException(
                KafkaError(KafkaError._TIMED_OUT, f"{start.topic}[{start.partition}] cannot be read back")
            )
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        if error is not None or int(message.offset() or 0) >= end:
            return last
        last = writer.cause_of(message.headers()) or last
