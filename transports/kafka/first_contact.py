"""The first connection of a Kafka client, made so that the next request need not wait for another."""

from __future__ import annotations

from typing import Final, TypeVar

from confluent_kafka import Consumer, Producer

from transports.kafka.config import ClientOption

_Client = TypeVar("_Client", Consumer, Producer)

_SECONDS: Final = 30.0
# To a coordinator a client connects at its second try, as it learns the address by the first.
EAGER: Final[dict[str, ClientOption]] = {"reconnect_backoff_ms": 10}


def connected(client: _Client, topic: str) -> _Client:
    """The client, with a connection to a broker.

    Without one, librdkafka looks for coordinators and leaders only every half a second. The first answer may come from
    the bootstrap address, a connection which is closed then; the second comes over one that stays.

    Raises:
        KafkaException: no broker answers.
    """
    for _ in range(2):
        client.list_topics(topic, timeout=_SECONDS)
    return client
