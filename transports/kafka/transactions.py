"""Transactions under a transactional id: a new holder aborts the open transaction and fences the former holder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from confluent_kafka import KafkaException, Producer

from transports.kafka.config import ClientOption, KafkaConfig
from transports.kafka.delivering import SECONDS, OutgoingRecord, deliver
from transports.kafka.errors import RecordTooLarge, translated

_PRODUCER: Final[dict[str, ClientOption]] = {
    "compression_type": "zstd",  # records that fitted the topic only when compressed have to fit again
    "linger_ms": 0,
    "message_max_bytes": 1_000_000_000,  # the topic sets the limit
    # An open transaction blocks readers of the records after it: an abandoned one has to end soon.
    "transaction_timeout_ms": 10_000,
}


class Transactions:
    """Sequential transactions under one id.

    Raises:
        Fenced: another producer has begun under this id.
        Forbidden, RecordTooLarge, KafkaUnavailable: Kafka does not accept the records; none of them is committed.
    """

    def __init__(self, config: KafkaConfig, name: str) -> None:
        self._config, self._name = config, name
        self._open()

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Runs a transaction: commits at the end what was appended inside."""
        try:
            with translated():
                self._producer.begin_transaction()
                yield from self._committed()
        except RecordTooLarge:
            self._open()  # the client has lost its sequence numbers, and would fail again
            raise

    def append(self, topic: str, records: Sequence[OutgoingRecord]) -> list[int]:
        """Appends the records, waits until the broker has acknowledged them, and returns their offsets."""
        return deliver(self._producer, topic, records)

    def _open(self) -> None:
        self._producer = Producer(self._config.client(transactional_id=self._name, **_PRODUCER))
        with translated():
            self._producer.init_transactions(SECONDS)

    def _committed(self) -> Iterator[None]:
        try:
            yield
            self._producer.commit_transaction(SECONDS)
        except KafkaException as error:
            if not error.args[0].fatal():
                self._producer.abort_transaction(SECONDS)
            raise
