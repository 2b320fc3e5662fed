"""Unchanged records into a topic: the caller gives bytes, key, headers and partition; every one is acknowledged."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaException, Message, Producer

from contracts.record import RecordHeaders
from transports.kafka.config import KafkaConfig
from transports.kafka.producer import ProduceError
from transports.kafka.producing import Failures, backpressured

_FLUSH_SECONDS: Final = 1.0


class RawProducer:
    """A producer of unchanged records; leaving its context waits until all are acknowledged.

    Raises:
        ProduceError: Kafka did not accept a record.
    """

    def __init__(self, config: KafkaConfig, topic: str) -> None:
        self._topic = topic
        self._failures = Failures()
        self._producer = Producer(
            {
                **config.client(
                    enable_idempotence=True,
                    acks="all",
                    compression_type="lz4",
                    linger_ms=5,
                    queue_buffering_max_kbytes=65_536,
                    message_timeout_ms=60_000,
                    delivery_report_only_error=True,
                ),
                "on_delivery": self._failures.note,
            }
        )

        self._produce = backpressured(self._producer, self._check)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is not None:
            self._producer.flush(_FLUSH_SECONDS)  # queued records may be sent, but are not awaited
            return
        while self._producer.flush(_FLUSH_SECONDS):
            self._check()
        self._check()

    def send(self, message: Message, value: bytes | None, headers: RecordHeaders) -> None:
        """Enqueue `value` for the partition of `message`, with its key; waits while the queue is full."""
        try:
            self._produce(self._topic, value, message.key(), message.partition() or 0, headers=headers)
        except KafkaException as error:
            raise ProduceError(f"cannot send a record to topic {self._topic}: {error.args[0].str()}") from None

    def poll(self) -> None:
        """Serve delivery reports; raise if earlier records have failed."""
        self._producer.poll(0)
        self._check()

    def _check(self) -> None:
        failed = self._failures
        if failed.count:
            raise ProduceError(
                f"Kafka did not acknowledge {failed.count} records of topic {self._topic}: {failed.reason}"
            )
