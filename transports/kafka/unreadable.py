"""Batches of a producer that are in the log and cannot be unpacked.

librdkafka reports the first offset of such a batch, and stays there. Where the batch ends stands in its header, which
no client shows; but a fetch that starts at any of its offsets is answered with all of it, and reports the same first
offset. So its end is the first offset for which that is not so.
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
    """Where to read `place` on, for which it was reported that the batch at `base` cannot be unpacked; it is counted.

    Raises:
        SourceError: the config says to stop, or no broker answers.
    """
    first = max(base, place.offset)
    end = _end_of_batch(config, place, base, first)
    if end == first:  # it was reported twice
        return first
    span = f"{place.topic}[{place.partition}]: records {first} to {end - 1} cannot be unpacked ({error.str()})"
    if config.on_unreadable == "stop":
        raise SourceError(
            f"{span}: set bus.kafka.on_unreadable=skip to go on without them, or, if they are to be read, a larger "
            f"receive.message.max.bytes in bus.kafka.options; a smaller max.message.bytes of the topic keeps such out"
        )
    log.error("%s; going on without them (on_unreadable: skip)", span)
    UNREADABLE_OFFSETS.labels(place.topic, str(place.partition)).inc(end - first)
    ERRORS.labels("source", "unreadable").inc()
    return end


def _end_of_batch(config: KafkaConfig, place: TopicPartition, base: int, first: int) -> int:
    """The first offset from `first` on that the batch at `base` does not hold: in steps that double, then by halves."""
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
    raise BrokerUnavailable(f"{place.topic}[{place.partition}] gave no answer for {_SECONDS:.0f} s: is the broker up?")
