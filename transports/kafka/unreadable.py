"""Producer batches in the log that cannot be unpacked.

librdkafka reports the first offset of such a batch and does not advance. The end of the batch is in its header, which
no client exposes; but a fetch at any of its offsets returns all of it, and reports the same first offset. So the batch
ends at the first offset for which that is not the case.
"""

from __future__ import annotations

import logging
import time
import uuid
from contextlib import closing
from typing import Final

from confluent_kafka import Consumer, KafkaError, TopicPartition

from telemetry.metrics import ERRORS, UNREADABLE_OFFSETS
from transports.kafka.config import KafkaConfig
from transports.kafka.fetches import NARROW
from transports.kafka.topics import BrokerUnavailable, SourceError

UNREADABLE: Final = frozenset({KafkaError._BAD_COMPRESSION, KafkaError._BAD_MSG})
_BEYOND: Final = frozenset({KafkaError._PARTITION_EOF, KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})
_SECONDS: Final = 10.0

log = logging.getLogger("mdp.sources")


def after_unreadable(config: KafkaConfig, place: TopicPartition, base: int, error: KafkaError) -> int:
    """Returns the offset after the batch at `base`, which was reported as not unpackable at `place`; counts it.

    Raises:
        SourceError: the config says to stop, or no broker answers.
    """
    first = max(base, place.offset)
    end = _end_of_batch(config, place, base, first)
    if end == first:  # a duplicate report
        return first
    span = f"{place.topic}[{place.partition}]: records {first} to {end - 1} cannot be unpacked ({error.str()})"
    if config.on_unreadable == "stop":
        raise SourceError(
            f"{span}: set bus.kafka.on_unreadable=skip to go on without them, or, to read them, a larger "
            f"receive.message.max.bytes in bus.kafka.options; a smaller max.message.bytes of the topic prevents them"
        )
    log.error("%s; going on without them (on_unreadable: skip)", span)
    UNREADABLE_OFFSETS.labels(place.topic, str(place.partition)).inc(end - first)
    ERRORS.labels("source", "unreadable").inc()
    return end


def _end_of_batch(config: KafkaConfig, place: TopicPartition, base: int, first: int) -> int:
    """The end of the batch at `base`, from `first` on: searched in doubling steps, then by bisection."""
    options = config.client(
        group_id=f"mdp-reader-{uuid.uuid4().hex}",
        enable_auto_commit=False,
        enable_partition_eof=True,
        isolation_level="read_committed",
        auto_offset_reset="error",
        **NARROW,
        fetch_error_backoff_ms=1,
        fetch_wait_max_ms=10,
    )
    with closing(Consumer(options)) as consumer:
        inside, outside, step = first - 1, first, 1
        while _base_at(consumer, place, outside) == base:
            inside, outside, step = outside, outside + step, step * 2
        while outside - inside > 1:
            middle = (inside + outside) // 2
            if _base_at(consumer, place, middle) == base:
                inside = middle
            else:
                outside = middle
        return outside


def _base_at(consumer: Consumer, place: TopicPartition, offset: int) -> int | None:
    """The first offset of the batch that holds this one, if it cannot be unpacked."""
    consumer.assign([TopicPartition(place.topic, place.partition, offset)])
    deadline = time.monotonic() + _SECONDS
    while (left := deadline - time.monotonic()) > 0:
        message = consumer.poll(left)
        error = None if message is None else message.error()
        if message is not None and (error is None or error.code() in _BEYOND):
            return None
        if message is not None and error is not None and error.code() in UNREADABLE:
            return message.offset()
    raise BrokerUnavailable(f"{place.topic}[{place.partition}] did not answer for {_SECONDS:.0f} s: is the broker up?")
