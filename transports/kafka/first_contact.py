"""The first connection of a Kafka client, opened early so that the next request does not wait for it."""

from __future__ import annotations

from typing import Final, TypeVar

from confluent_kafka import Consumer, Producer

from transports.kafka.config import ClientOption

_Client = TypeVar("_Client", Consumer, Producer)

_SECONDS: Final = 30.0
# A client reaches a coordinator at its second attempt, as the first yields the address.
EAGER: Final[dict[str, ClientOption]] = {"reconnect_backoff_ms": 10}


def connected(client: _Client, topic: str) -> _Client:
    """Returns the client, connected to a broker.

    Without a connection, librdkafka looks for coordinators and leaders only every half second. The first answer may
    come over the bootstrap connection, which is closed afterwards; the second comes over one that stays open.

    Raises:
        KafkaException: no broker answers.
    """
    for _ in range(2):
        client.list_topics(topic, timeout=_SECONDS)
    return client
