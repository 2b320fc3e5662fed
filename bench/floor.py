"""The minimum for any contender: read every record from Kafka into a Python object, and nothing else."""

from __future__ import annotations

import argparse

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from bench.meter import Meter

BATCH = 10_000


class Event(msgspec.Struct):
    symbol: str
    src_ts: str
    c: float
    v: float
    event_id: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--topic", required=True)
    asked = parser.parse_args()
    meter = Meter()
    meter.begin()
    read(asked.brokers, asked.topic)
    meter.report()


def read(brokers: str, topic: str) -> None:
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "floor", "fetch.queue.backoff.ms": 5})
    partitions = [
        TopicPartition(topic, partition, OFFSET_BEGINNING)
        for partition in consumer.list_topics(topic).topics[topic].partitions
    ]
    left = sum(consumer.get_watermark_offsets(partition)[1] for partition in partitions)
    consumer.assign(partitions)
    decode = msgspec.json.Decoder(Event).decode
    while left:
        events = [decode(message.value() or b"") for message in consumer.consume(min(BATCH, left), 1.0)]
        left -= len(events)
    consumer.close()


if __name__ == "__main__":
    main()
