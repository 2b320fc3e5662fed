"""A producer for an event loop: nothing blocks, the queue is bounded, and an outage of Kafka is waited out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from contracts.record import Headers
from telemetry.outage import Outage
from transports.kafka.config import ClientOption, KafkaConfig
from transports.kafka.errors import translated
from transports.kafka.producing import unblocked

_BY_KEY: Final = -1  # as a partition: the producer's partitioner chooses it

_PRODUCER: Final[dict[str, ClientOption]] = {
    "enable_idempotence": True,
    "acks": "all",
    "compression_type": "lz4",
    "linger_ms": 5,
    "message_timeout_ms": 0,  # no record is given up: the queue fills, and holds the source back
    "message_max_bytes": 1_000_000_000,  # the topic limits the size of a record
    "partitioner": "murmur2_random",  # Kafka's default for records with keys, so that all producers agree
}


class LiveDelivery:
    """The acknowledgement of some records, as one."""

    __slots__ = ("_done", "_fail", "_left", "_note_ok", "failure")

    def __init__(self, fail: Callable[[KafkaError], None], note_ok: Callable[[], None]) -> None:
        self._left = 1  # until it is complete
        self._done, self._fail, self._note_ok = asyncio.Event(), fail, note_ok
        self.failure: KafkaError | None = None

    @property
    def is_done(self) -> bool:
        return self._done.is_set() and self.failure is None

    def expect(self) -> None:
        """Adds a record."""
        self._left += 1

    def note(self, error: KafkaError | None, _: Message) -> None:
        """The client's report of a record."""
        if error is not None:
            self.failure = self.failure or error
            self._fail(error)
        else:
            self._note_ok()
        self.complete()

    def complete(self) -> None:
        """Says that a record is done with, or at first that no more will be added."""
        self._left -= 1
        if not self._left:
            self._done.set()

    async def acknowledged(self) -> None:
        """Waits until all records are acknowledged.

        Raises:
            RecordTooLarge, Forbidden, KafkaUnavailable: one of them is refused for good.
        """
        await self._done.wait()
        if self.failure is not None:
            with translated():
                raise KafkaException(self.failure)


class LiveProducer:
    """A producer of records in order, each acknowledged by all replicas, none twice.

    Args:
        config: of the bus.
        most_records: of the queue.
        most_kbytes: of the queue.
    """

    def __init__(self, config: KafkaConfig, *, most_records: int = 50_000, most_kbytes: int = 65_536) -> None:
        self._failure: KafkaError | None = None
        self._outage = Outage("Kafka")
        bounds = {"queue_buffering_max_messages": most_records, "queue_buffering_max_kbytes": most_kbytes}
        self._producer = Producer({**config.client(**_PRODUCER, **bounds), "error_cb": self._note_error})
        self._produce = unblocked(self._producer)

    @property
    def waiting(self) -> int:
        """How many records are not acknowledged yet."""
        return len(self._producer)

    def delivery(self) -> LiveDelivery:
        return LiveDelivery(self._fail, self._outage.end)

    def send(self, topic: str, key: bytes | None, value: bytes, headers: Headers, delivery: Any) -> bool:
        """Queues a record; False if the queue is full.

        Raises:
            RecordTooLarge, KafkaUnavailable: the client refuses it.
        """
        with translated():
            is_queued = self._produce(topic, value, key, _BY_KEY, delivery.note, headers=headers)
        if is_queued:
            delivery.expect()
        return is_queued

    def poll(self) -> None:
        """Serves the client's reports.

        Raises:
            Forbidden, RecordTooLarge, Fenced, KafkaUnavailable: a record was refused for good.
        """
        with translated():
            self._producer.poll(0)
            if self._failure is not None:
                raise KafkaException(self._failure)

    def _fail(self, error: KafkaError) -> None:
        self._failure = self._failure or error

    def _note_error(self, error: KafkaError) -> None:
        """Of connections, which come and go, and are only worth a word when no broker is left."""
        if error.fatal():
            self._fail(error)
        elif error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._outage.begin("no broker answers")
