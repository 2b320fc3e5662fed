"""How far a consumer group is behind."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from transports.kafka.config import KafkaConfig
from transports.kafka.errors import translated
from transports.kafka.topics import partitions_of

_SECONDS: Final = 10.0


def group_lag(config: KafkaConfig, group: str, topics: Sequence[str]) -> int:
    """How many records of the topics lie after what the group has committed; 0 for one that has committed nothing.

    Raises:
        KafkaUnavailable, SourceError: Kafka does not answer.
    """
    places = [TopicPartition(topic, number) for topic in topics for number in partitions_of(config, topic)]
    with closing(Consumer(config.client(group_id=group, enable_auto_commit=False))) as consumer, translated():
        committed = [place for place in consumer.committed(places, timeout=_SECONDS) if place.offset >= 0]
        ends = [consumer.get_watermark_offsets(place, timeout=_SECONDS)[1] for place in committed]
    return sum(max(end - place.offset, 0) for end, place in zip(ends, committed, strict=True))
