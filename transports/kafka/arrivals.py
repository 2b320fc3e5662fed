"""Arrival times of records."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing

from confluent_kafka import OFFSET_END, TIMESTAMP_LOG_APPEND_TIME, Consumer, TopicPartition

from transports.kafka.config import KafkaConfig


def stamped_and_received(
    config: KafkaConfig, partitions: Mapping[str, Iterable[int]], seconds: float
) -> Iterator[tuple[float, float]]:
    """The broker's timestamp and the time of arrival of each record that arrives within `seconds`.

    Both in seconds since the epoch; records with a timestamp of their producer are left out.
    """
    places = [TopicPartition(topic, each, OFFSET_END) for topic, numbers in partitions.items() for each in numbers]
    deadline = time.monotonic() + seconds
    with closing(Consumer(config.client(group_id="mdp-doctor", enable_auto_commit=False))) as consumer:
        consumer.assign(places)
        while (left := deadline - time.monotonic()) > 0:
            message = consumer.poll(left)
            if message is None or message.error() is not None:
                continue
            kind, stamped_ms = message.timestamp()
            if kind == TIMESTAMP_LOG_APPEND_TIME:
                yield stamped_ms / 1e3, time.time()
