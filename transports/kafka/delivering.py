"""Appends records and waits for their acknowledgement."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from contracts.record import Headers
from transports.kafka.config import KafkaConfig
from transports.kafka.errors import translated
from transports.kafka.producing import backpressured

SECONDS: Final = 30.0


class OutgoingRecord(NamedTuple):
    """A record to append to a partition."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers


def append(config: KafkaConfig, topic: str, records: Sequence[OutgoingRecord]) -> None:
    """Appends all records outside of any transaction, by a temporary producer.

    Raises:
        KafkaUnavailable: not all were acknowledged; a retry appends the acknowledged ones a second time.
        RecordTooLarge, Forbidden: the topic does not accept them.
    """
    producer = Producer(config.client(enable_idempotence=True))
    with translated():
        deliver(producer, topic, records)


def deliver(producer: Producer, topic: str, records: Sequence[OutgoingRecord]) -> list[int]:
    """Appends the records, waits until the broker has acknowledged them, and returns their offsets.

    Raises:
        KafkaException: not all records were acknowledged.
    """
    produce, places = backpressured(producer), _Places()
    for number, record in enumerate(records):
        note = partial(places.note, number)
        produce(topic, record.value, record.key, record.partition, note, headers=record.headers)
    if producer.flush(SECONDS):
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"{topic} did not acknowledge"))
    return places.offsets()


class _Places:
    """The offsets at which records were appended."""

    def __init__(self) -> None:
        self._offsets: dict[int, int] = {}
        self._failure: KafkaError | None = None

    def note(self, number: int, error: KafkaError | None, message: Message) -> None:
        self._failure = self._failure or error
        self._offsets[number] = message.offset() or 0

    def offsets(self) -> list[int]:
        """The offsets in the order of the records."""
        if self._failure is not None:
            raise KafkaException(self._failure)
        return [offset for _, offset in sorted(self._offsets.items())]
