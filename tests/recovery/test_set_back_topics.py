"""Output topics that have lost their end: what is missing is written again, once, after the log was read again."""

from __future__ import annotations

import uuid
from collections import defaultdict

import polars as pl
import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from tests.forked import Process
from tests.harness import (
    Deployment,
    Deployments,
    assert_same,
    headers_of,
    partition_of,
    produce_on_time,
    recreate_topic,
    until,
)
from tests.market import FEATURES, PARTITIONS, RULES, chunks, empty_topic

MARKET = pl.concat(list(chunks(10_000, symbols=10, rate=50.0)))  # long enough for many signals
HALF = MARKET.height // 2
BUSY = "micro_batch.flush_timeout_ms=3600000"  # so no heartbeats
NOTICED = "has lost acknowledged results of"


@pytest.fixture
def flow(deploy: Deployments) -> Deployment:
    """On a topic that holds the first half of the market."""
    events = empty_topic(deploy.stack.kafka.bootstrap)
    produce_on_time(deploy.stack.kafka.bootstrap, events, [MARKET[:HALF]], PARTITIONS)
    return deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES)


def messages(kafka: str, topic: str) -> list[Message]:
    """What consumers see, partition by partition."""
    settings = {"bootstrap.servers": kafka, "group.id": uuid.uuid4().hex, "enable.partition.eof": True}
    consumer = Consumer({**settings, "isolation.level": "read_committed", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    found: dict[int, list[Message]] = defaultdict(list)
    ended: set[int] = set()
    while len(ended) < PARTITIONS:
        for message in consumer.consume(1_000, timeout=0.1):
            error = message.error()
            if error is None:
                found[partition_of(message)].append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                ended.add(partition_of(message))
    consumer.close()
    return [message for partition in range(PARTITIONS) for message in found[partition]]


def whole(messages: list[Message], end: int) -> list[Message]:
    """The first of them, without the begin of a transaction whose end would be missing."""

    def cause(message: Message) -> bytes | None:
        return dict(headers_of(message))["source_offset"]

    while 0 < end < len(messages) and cause(messages[end - 1]) == cause(messages[end]):
        end -= 1
    return messages[:end]


def keep_the_first(flow: Deployment, topic: str, share: float) -> None:
    """As a copy that was made before the rest came."""
    before = messages(flow.kafka, topic)
    recreate_topic(flow.kafka, topic, PARTITIONS)
    producer = Producer({"bootstrap.servers": flow.kafka})
    for partition in range(PARTITIONS):
        kept = [message for message in before if message.partition() == partition]
        for message in whole(kept, int(len(kept) * share)):
            producer.produce(topic, message.value(), message.key(), partition, headers=message.headers())
    assert producer.flush(30) == 0


def live(flow: Deployment, workers: int = 1) -> Process:
    process = flow.start(BUSY, workers=workers)
    until(lambda: flow.has_caught_up() or process.poll() is not None, "all of the log")
    assert process.poll() is None, flow.said.read_text()[-5_000:]
    return process


def stop(flow: Deployment, process: Process) -> None:
    process.terminate()
    flow.ends_well(process)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.6])
def test_at_a_start(flow: Deployment, share: float) -> None:
    stop(flow, live(flow))
    output, rows = flow.output(), flow.tables()
    assert len(output["signals"]) > 100
    keep_the_first(flow, flow.topics["signals"], share)
    keep_the_first(flow, flow.topics["dlq"], 1.0)
    flow.ends_well(flow.start(BUSY, "run.until_end=true", workers=2))
    assert NOTICED in flow.said.read_text()
    after = flow.output()
    assert after["dlq"] == output["dlq"]
    assert [record for record in after["signals"] if record in output["signals"]] == output["signals"]
    assert set(flow.tables()["bars_ohlcv"]) >= set(rows["bars_ohlcv"])


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_under_a_running_flow(deploy: Deployments, flow: Deployment, workers: int) -> None:
    process = live(flow, workers)
    recreate_topic(flow.kafka, flow.topics["signals"], PARTITIONS)
    produce_on_time(flow.kafka, flow.events, [MARKET[HALF:]], PARTITIONS)
    until(lambda: flow.has_caught_up() or process.poll() is not None, "all of the log again")
    assert process.poll() is None, flow.said.read_text()[-5_000:]
    stop(flow, process)
    assert NOTICED in flow.said.read_text()
    flow.run(BUSY)
    expected = deploy(flow.events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name="undisturbed")
    expected.run(BUSY)
    assert_same(flow.tables(), expected.tables())
    assert_same(flow.output(), expected.output())
