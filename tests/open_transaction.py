"""A producer that begins a transaction and does not end it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from confluent_kafka import Producer


def opened(kafka: str, topic: str, values: Iterable[bytes], partition: int = 0) -> Producer:
    """Returns a producer whose open transaction has these records in the partition of the topic."""
    lasting = {"transactional.id": uuid.uuid4().hex, "transaction.timeout.ms": 600_000}
    producer = Producer({"bootstrap.servers": kafka, "log_level": 0, **lasting})
    producer.init_transactions(30)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, partition=partition)
    assert producer.flush(30) == 0
    return producer
