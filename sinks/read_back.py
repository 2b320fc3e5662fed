"""How far the log has been turned into records: read from the output topics themselves."""

from __future__ import annotations

import time
from typing import Final

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec  # its own package does not export it to type checkers

from contracts.bus_config import KafkaConfig
from sinks.records import Cause, Identity

NOTHING: Final[Cause] = (-1, -1)
_FIRST_STEP: Final = 64
_SECONDS: Final = 10.0
_OPEN_SECONDS: Final = 1.0  # far longer than a transaction takes whose writer is alive
_LOOK_SECONDS: Final = 0.02


def last_cause(config: KafkaConfig, topic: str, writer: Identity) -> Cause:
    """The cause of the last committed record of `writer` in its partition of `topic`.

    Outputs leave in the order of the log, so everything up to it is there. Records of other origins, and the markers
    that transactions leave behind, are stepped over by looking back further and further.
    """
    consumer = Consumer(
        config.client(
            group_id=config.consumer_group,
            enable_auto_commit=False,
            enable_partition_eof=True,
            isolation_level="read_committed",
            fetch_wait_max_ms=10,  # at the end of a partition there is nothing to wait for
        )
    )
    try:
        low, high = _bounds(config, consumer, TopicPartition(topic, writer.partition))
        step, end = _FIRST_STEP, high
        while end > low:
            start = max(low, end - step)
            found = _last_between(consumer, TopicPartition(topic, writer.partition, start), end, writer)
            if found is not None:
                return found
            step, end = 2 * step, start
        return NOTHING
    finally:
        consumer.close()


def _bounds(config: KafkaConfig, consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """The first offset and the end of a partition, all transactions up to there having come to theirs.

    As long as one is open, nothing after its first record can be read, our own records neither. One whose writer has
    died is given up by Kafka after a minute.
    """
    end = _end(config, place)
    deadline = time.monotonic() + _OPEN_SECONDS
    while True:
        low, high = consumer.get_watermark_offsets(place, timeout=_SECONDS)
        if high >= end:
            return low, high
        if time.monotonic() > deadline:
            where = f"{place.topic}[{place.partition}]"
            raise KafkaException(
                KafkaError(KafkaError._TIMED_OUT, f"a transaction of another writer is open in {where}")
            )
        time.sleep(_LOOK_SECONDS)


def _end(config: KafkaConfig, place: TopicPartition) -> int:
    """The end of a partition, open transactions and all."""
    admin = AdminClient(config.client())
    asked = admin.list_offsets(
        {place: OffsetSpec.latest()}, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=_SECONDS
    )
    offset: int = asked[place].result().offset
    if offset < 0:  # what a request that ran out of time ends with
        raise KafkaException(
            KafkaError(KafkaError._TIMED_OUT, f"{place.topic}[{place.partition}] does not say where it ends")
        )
    return offset


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
