import threading
from collections.abc import Callable

from confluent_kafka import Producer

from codec.decode import Decoder
from telemetry.outage import Outage
from tests.harness import until
from tests.transports.first_reading import FirstReading
from transports.kafka.config import KafkaConfig
from transports.kafka.end_offsets import EndOffsets
from transports.kafka.source import Bounds, KafkaSource
from transports.kafka.topic_identity import TopicIdentity

SIZE, COUNT = 1_400_000, 80  # as large as leaves whole


def test_batches_are_bounded_in_bytes(kafka: str, topic: Callable[..., str]) -> None:
    name = topic()
    producer = Producer({"bootstrap.servers": kafka, "compression.type": "zstd", "message.max.bytes": 2 * SIZE})
    for _ in range(COUNT):
        producer.produce(name, b"x" * SIZE)
    assert producer.flush(30) == 0
    config, decode = KafkaConfig(brokers=kafka, topic=name), Decoder(2_000_000_000, 10**18).decode_all
    identity = TopicIdentity(config, name, lambda: None)
    bounds, outage = Bounds(until_end=True), Outage("Kafka")
    ends = EndOffsets(config, name, 1_000_000_000, outage)
    source = KafkaSource(
        config, name, decode, 30_000, identity, threading.Event(), FirstReading(), 0, outage, ends, bounds
    )
    (part,) = source.list_parts()
    partition = source.build_part("events", part, None)
    sizes: list[int] = []

    def is_all() -> bool:
        sizes.extend(batch.refused_bytes for _, batch in partition.next_batch())
        return sum(sizes) > SIZE * COUNT

    until(is_all, "all of the records")
    partition.close()
    assert max(sizes) < source.batch_bytes + 2 * SIZE
