"""Records to a topic outside of transactions, each acknowledged before it is done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from contracts.record import Headers
from transports.kafka.config import KafkaConfig
from transports.kafka.errors import translated
from transports.kafka.producing import backpressured

_SECONDS: Final = 30.0


class Appended(NamedTuple):
    """A record to append."""

    partition: int
    value: bytes
    headers: Headers


def append(config: KafkaConfig, topic: str, records: Iterable[Appended]) -> None:
    """Appends all of them, by a producer for the occasion.

    Raises:
        KafkaUnavailable: not all were acknowledged; those that were come again if it is called again.
        RecordTooLarge, Forbidden: the topic does not take them.
    """
    failures: list[KafkaError] = []

    def note(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failures.append(error)

    producer = Producer(config.client(enable_idempotence=True))
    produce = backpressured(producer)
    with translated():
        for record in records:
            produce(topic, record.value, None, record.partition, note, headers=record.headers)
        if producer.flush(_SECONDS):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"{topic} did not acknowledge"))
        if failures:
            raise KafkaException(failures[0])
