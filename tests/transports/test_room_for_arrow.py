"""Arrow records of many rows in few bytes are read in batches of as many rows as one of them may have, to the last."""

import threading
from collections.abc import Callable

from confluent_kafka import Producer

from codec.decode import Decoder
from contracts.budgets import RECORD_ROWS
from contracts.record import ARROW
from telemetry.outage import Outage
from tests.codec.bombs import compressed, ticks
from tests.codec.stored_records import as_arrow, fetch
from tests.harness import until
from tests.transports.first_reading import FirstReading
from transports.kafka.config import KafkaConfig
from transports.kafka.end_offsets import EndOffsets
from transports.kafka.source import Bounds, KafkaSource
from transports.kafka.topic_identity import TopicIdentity

COUNT, ROWS = 7, RECORD_ROWS // 2 - 1


def test_batches_are_bounded_in_rows(kafka: str, topic: Callable[..., str]) -> None:
    name, record = topic(), compressed(ticks(ROWS))
    decode = Decoder(2_000_000_000, 10**18).decode_all
    decode([fetch([as_arrow(ticks(1))])])  # so that what has the same schema could be taken for as plain as that
    producer = Producer({"bootstrap.servers": kafka, "compression.type": "zstd", "message.max.bytes": 10_000_000})
    for _ in range(COUNT):
        producer.produce(name, record, headers=[("content-type", ARROW)])
    producer.produce(name, b"{}")
    assert producer.flush(30) == 0
    config = KafkaConfig(brokers=kafka, topic=name)
    bounds, outage, identity = Bounds(until_end=True), Outage("Kafka"), TopicIdentity(config, name, lambda: None)
    ends = EndOffsets(config, name, 1_000_000_000, outage)
    source = KafkaSource(
        config, name, decode, 30_000, identity, threading.Event(), FirstReading(), 0, outage, ends, bounds
    )
    (part,) = source.list_parts()
    partition = source.build_part("events", part, None)
    heights: list[int] = []
    offsets: list[int] = []

    def is_all() -> bool:
        for _, batch in partition.next_batch():
            heights.append(batch.events.height)
            offsets.extend(batch.events["offset"].unique(maintain_order=True))
            assert partition.snapshot()[1] == batch.next_offset
            assert batch.appended is not None
            assert batch.appended.offsets[1] == batch.next_offset - 1
        return partition.snapshot()[1] == COUNT + 1

    until(is_all, "all of the records")
    partition.close()
    assert offsets == list(range(COUNT))
    assert max(heights) <= RECORD_ROWS
    assert sum(heights) == COUNT * ROWS
