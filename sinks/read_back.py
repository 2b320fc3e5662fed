"""How far the log has been turned into records: read from the output topics themselves."""

from __future__ import annotations

from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from contracts.bus_config import KafkaConfig
from sinks.records import Cause, Identity

NOTHING: Final[Cause] = (-1, -1)
_FIRST_STEP: Final = 64
_SECONDS: Final = 10.0


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
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, writer.partition), timeout=_SECONDS)
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
