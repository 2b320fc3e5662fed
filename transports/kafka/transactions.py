"""Transactions under a name: whoever begins with it ends what was open under it, and fences who had it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from confluent_kafka import KafkaException, Producer

from transports.kafka.config import ClientOption, KafkaConfig
from transports.kafka.delivering import SECONDS, OutgoingRecord, deliver
from transports.kafka.errors import RecordTooLarge, translated

_PRODUCER: Final[dict[str, ClientOption]] = {
    "compression_type": "zstd",  # what only compression had made small enough for the topic has to fit again
    "linger_ms": 0,
    "message_max_bytes": 1_000_000_000,  # for the topic to say
    # As long as a transaction is open, nobody reads the records after it: one that is left behind has to end soon.
    "transaction_timeout_ms": 10_000,
}


class Transactions:
    """One after the other, under one name.

    Raises:
        Fenced: another one has begun under this name.
        Forbidden, RecordTooLarge, KafkaUnavailable: Kafka does not take what it was given; nothing of it is there.
    """

    def __init__(self, config: KafkaConfig, name: str) -> None:
        self._config, self._name = config, name
        self._open()

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Commits at the end all that was appended within."""
        try:
            with translated():
                self._producer.begin_transaction()
                yield from self._committed()
        except RecordTooLarge:
            self._open()  # the client has lost count of its sequence numbers, and would fail once more
            raise

    def append(self, topic: str, records: Sequence[OutgoingRecord]) -> list[int]:
        """Appends the records, and waits until the broker has them; their offsets."""
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
