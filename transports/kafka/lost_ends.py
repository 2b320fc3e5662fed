"""Output topics that have lost their end: an unclean leader election, a mirror put back, a topic created again.

What a topic has acknowledged is there as long as it ends beyond it. That its retention has deleted records, all of them
even, does not bring the end back.
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
    """The last record that a partition of an output topic has acknowledged: its offset there, and its cause."""

    offset: int
    cause: Cause


class Deliveries:
    """Where the records of a transaction came to lie: the first and the last of each place."""

    def __init__(self) -> None:
        self.first: dict[Place, int] = {}
        self.last: dict[Place, int] = {}

    def note(self, error: KafkaError | None, message: Message) -> None:
        """A delivery report; a failure is raised by the commit."""
        if error is None:
            place, offset = Place(str(message.topic()), int(message.partition() or 0)), int(message.offset() or 0)
            self.first.setdefault(place, offset)
            self.last[place] = offset


def check_ends(config: KafkaConfig, identity: Identity, written: Mapping[Place, Written]) -> None:
    """Makes sure that the output topics still have what they acknowledged.

    Raises:
        SetBack: one has not, nor does it come back while its followers have time to catch up.
        KafkaException: Kafka did not answer.
    """
    # What is committed is there from its acknowledgement on, though a broker may not show it as such yet.
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
    """Whether there are any: a new leader shows what they have not fetched yet only once they have."""
    topics = cluster(config.client()).topics
    return any(topics[place.topic].replication > 1 for place in places if place.topic in topics)


def lost_end(
    config: KafkaConfig, identity: Identity, written: Mapping[Place, Written], lost: Collection[Place]
) -> SetBack:
    """What these places lack, by what can be read back from them.

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
