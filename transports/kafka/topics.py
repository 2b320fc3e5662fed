"""Descriptions of topics by the broker."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec  # its own package does not export it to type checkers

from contracts.errors import MdpError
from transports.kafka import brokers
from transports.kafka.config import KafkaConfig

_TIMEOUT: Final = 10.0


class SourceError(MdpError):
    """The topic cannot be read as asked; one line says what to do."""


class BrokerUnavailable(SourceError):  # noqa: N818 - says what is wrong
    """No broker answers; the same call may succeed later."""

    passes = True


def partitions_of(config: KafkaConfig, topic: str) -> list[int]:
    """The partitions of a topic.

    Raises:
        BrokerUnavailable: no broker answers.
        SourceError: the broker refuses us, or we refuse it; or the topic does not exist.
    """
    client = config.client(socket_timeout_ms=10_000)
    try:
        metadata = brokers.metadata(client, topic).topics[topic]
    except brokers.Refused as error:
        raise SourceError(str(error)) from None
    except brokers.Unreachable as error:
        raise BrokerUnavailable(str(error)) from None
    if metadata.error is not None:
        remedy = brokers.nearest(client, topic, metadata.error) or "; run `mdp topics apply`"
        raise SourceError(f"cannot read topic {topic}: {metadata.error.str()}{remedy}")
    return sorted(metadata.partitions)


def most_partitions(config: KafkaConfig, topics: Iterable[str]) -> int:
    """How many partitions the topic has that has the most of them; raises as `partitions_of`."""
    return max(len(partitions_of(config, topic)) for topic in topics)


def topic_id(config: KafkaConfig, topic: str) -> str:
    """The id that distinguishes a topic from others of its name: a recreated topic has another id.

    Raises:
        BrokerUnavailable: no broker answers.
    """
    admin = AdminClient(config.client())
    try:
        return str(admin.describe_topics(TopicCollection([topic]))[topic].result(_TIMEOUT).topic_id)
    except KafkaException as error:
        raise BrokerUnavailable(f"topic {topic} cannot be described: {error.args[0].str()}") from None


def log_ends(config: KafkaConfig, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """The end offset of each partition, records of open transactions included.

    Raises:
        KafkaException: no broker answers.
    """
    client = config.client(group_id="mdp-reader", isolation_level="read_uncommitted")
    with closing(Consumer(client)) as consumer:  # a new admin client sometimes takes seconds for that
        return {
            partition: consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_TIMEOUT)[1]
            for partition in partitions
        }


def first_time_ms(config: KafkaConfig, topic: str, partition: int) -> int | None:
    """The timestamp of the first record that a partition still has; None if it has none.

    Raises:
        BrokerUnavailable: no broker answers.
    """
    place = TopicPartition(topic, partition)
    admin = AdminClient(config.client())  # its futures do not keep it alive
    try:
        asked = admin.list_offsets({place: OffsetSpec.for_timestamp(0)}, request_timeout=_TIMEOUT)
        found = asked[place].result(2 * _TIMEOUT)
    except KafkaException as error:
        raise BrokerUnavailable(f"cannot describe {topic}[{partition}]: {error.args[0].str()}") from None
    return None if found.offset < 0 else int(found.timestamp)
