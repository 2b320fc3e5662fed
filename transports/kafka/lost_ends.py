"""Output topics that have lost their end: by an unclean leader election, a restored mirror, or a recreated topic.

An acknowledged record is present as long as the topic's end offset is beyond it. Retention may delete records, even all
of them, but never moves the end offset back.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import closing
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from codec.output_records import Cause, Identity
from contracts.progress import Loss, SetBack
from transports.kafka.brokers import cluster
from transports.kafka.config import ClientOption, KafkaConfig
from transports.kafka.read_back import NOTHING, Place, last_causes

_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.2
_FOLLOWED_SECONDS: Final = 30.0  # Kafka's replica.lag.time.max.ms


class Written(NamedTuple):
    """The last acknowledged record in a partition of an output topic: its offset there, and its cause."""

    offset: int
    cause: Cause


class Deliveries:
    """The offsets of a transaction's records: the first and the last of each output partition."""

    def __init__(self) -> None:
        self.first: dict[Place, int] = {}
        self.last: dict[Place, int] = {}

    def note(self, error: KafkaError | None, message: Message) -> None:
        """Takes a delivery report; the commit raises failures."""
        if error is None:
            place, offset = Place(str(message.topic()), int(message.partition() or 0)), int(message.offset() or 0)
            self.first.setdefault(place, offset)
            self.last[place] = offset


def check_ends(config: KafkaConfig, identity: Identity, written: Mapping[Place, Written]) -> None:
    """Checks that the output topics still have what they acknowledged.

    Raises:
        SetBack: one does not, and its end does not return while its followers have time to catch up.
        KafkaException: Kafka did not answer.
    """
    # Committed records exist from their acknowledgement on, though a broker may not show them as committed yet.
    options: dict[str, ClientOption] = {"isolation_level": "read_uncommitted", "reconnect_backoff_ms": 10}
    deadline: float | None = None
    with closing(Consumer(config.client(group_id=config.consumer_group, **options))) as consumer:
        while lost := [place for place, last in written.items() if _end(consumer, place) <= last.offset]:
            if deadline is None:
                deadline = time.monotonic() + (_FOLLOWED_SECONDS if _has_followers(config, lost) else 0.0)
            if time.monotonic() >= deadline:
                raise lost_end(config, identity, written, lost)
            time.sleep(_LOOK_SECONDS)


def _has_followers(config: KafkaConfig, places: Collection[Place]) -> bool:
    """Whether there are followers: a new leader does not show records that they have not fetched yet."""
    topics = cluster(config.client()).topics
    return any(topics[place.topic].replication > 1 for place in places if place.topic in topics)


def lost_end(
    config: KafkaConfig, identity: Identity, written: Mapping[Place, Written], lost: Collection[Place]
) -> SetBack:
    """The loss of these output partitions, judged by what can be read back from them; None without a loss.

    Raises:
        KafkaException: Kafka did not answer.
    """
    causes = last_causes(config, identity, list(lost))
    losses: dict[tuple[str, int], Loss] = {}
    for place in lost:
        source = identity.topic, place.partition
        start = 0 if causes[place] == NOTHING else causes[place][0]
        loss = losses.get(source, Loss(0, start, 0))
        losses[source] = Loss(0, min(loss.start, start), max(loss.end, written[place].cause[0] + 1))
    names = sorted({place.topic for place in lost})
    return SetBack(f"topic {' and '.join(names)}", losses)


def _end(consumer: Consumer, place: Place) -> int:
    _, end = consumer.get_watermark_offsets(TopicPartition(*place), timeout=_SECONDS)
    return int(end)
