"""Writers of one flow on topics of their own, and what they have written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import polars as pl
from confluent_kafka import Producer

from codec.output_headers import Sender
from codec.output_records import Identity
from contracts import frames
from contracts.batch import MicroBatch, taken_as_read
from contracts.record import Headers
from tests.harness import records
from transports.kafka.config import KafkaConfig
from transports.kafka.lost_ends import Written
from transports.kafka.read_back import Place
from transports.kafka.transactional_writer import Mark, TransactionalWriter, outputs

NONE: Mapping[Place, Written] = MappingProxyType({})
PARTITIONS = 2
EVENTS = 5  # in each partition of the source, as what is written has to be caused by something that is there


def identity_of(owner: str, topic: str) -> Identity:
    return Identity(owner, owner, owner, topic, f"id of {topic}", Sender(f"{owner}@here", "run"))


@dataclass(frozen=True)
class KafkaOutputs:
    config: KafkaConfig

    def __post_init__(self) -> None:
        for partition in range(PARTITIONS):
            self.produce(self.config.topic, partition, *[(b"event", [])] * EVENTS)

    @property
    def identity(self) -> Identity:
        return identity_of("flow", self.config.topic)

    def produce(self, topic: str, partition: int, *records: tuple[bytes, Headers]) -> None:
        """As anybody may who has the right to."""
        producer = Producer(self.config.client())
        for value, headers in records:
            producer.produce(topic, value, partition=partition, headers=headers)
        assert producer.flush(30) == 0

    def writer(
        self, *partitions: int, mark: Mark = lambda _: None, acknowledged: Mapping[Place, Written] = NONE
    ) -> TransactionalWriter:
        """For all partitions, or for some."""
        topics = outputs(self.config, ())
        writer = TransactionalWriter(self.config, self.identity, topics, taken_as_read, mark)
        for partition in partitions or range(PARTITIONS):
            writer.add(partition, {place: last for place, last in acknowledged.items() if place.partition == partition})
        return writer

    def rejects(self, offset: int) -> list[MicroBatch]:
        """A rejected record of each partition."""
        row = {"offset": offset, "row": 0, "reason": "schema", "error": "", "content_type": "", "key": None}
        rejects = pl.DataFrame([{**row, "value": b"%d" % offset}], schema=frames.REFUSED)
        return [
            MicroBatch(topic=self.config.topic, partition=partition, next_offset=offset + 1, rejects=rejects)
            for partition in range(PARTITIONS)
        ]

    def rejected(self) -> list[tuple[int, bytes | None]]:
        """Partition and value of each record in the DLQ, partition by partition."""
        return [(record.partition, record.value) for record in records(self.config.brokers, self.config.dlq_topic)]
