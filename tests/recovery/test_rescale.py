"""Another number of workers, or of partitions, from one start to the next."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from tests.forked import Process
from tests.harness import SECONDS, STOPPED, Deployment, Deployments, assert_same, produce_on_time, until
from tests.market import FEATURES, PARTITIONS, RULES, chunks, empty_topic

MARKET = pl.concat(list(chunks(24_000, symbols=20)))
STEPS = (1, 2, 4, 1)
START = datetime(2025, 10, 24, 14, tzinfo=UTC)
LIVE = "micro_batch.flush_timeout_ms=3600000"


def stop(worker: Process, deployment: Deployment) -> None:
    worker.terminate()
    assert worker.wait(SECONDS) in STOPPED, deployment.said.read_text()[-5_000:]


def committed(deployment: Deployment, partitions: int) -> list[int]:
    """The offsets at which the next start continues, as lag tools see them."""
    consumer = Consumer({"bootstrap.servers": deployment.kafka, "group.id": f"group-{deployment.events}"})
    places = [TopicPartition(deployment.events, partition) for partition in range(partitions)]
    offsets = [place.offset for place in consumer.committed(places, timeout=30)]
    consumer.close()
    return offsets


def written(deployment: Deployment) -> list[int]:
    return [offset for (offset,) in deployment.query("SELECT next_offset FROM progress ORDER BY partition")]


def delete_records(deployment: Deployment) -> None:
    admin = AdminClient({"bootstrap.servers": deployment.kafka, "log_level": 0})
    ends = [
        TopicPartition(deployment.events, partition, offset) for partition, offset in enumerate(written(deployment))
    ]
    for deleted in admin.delete_records(ends).values():
        deleted.result(30)


@pytest.mark.slow
def test_one_two_four_and_one_workers_leave_what_one_leaves_and_read_nothing_again(deploy: Deployments) -> None:
    events = empty_topic(deploy.stack.kafka.bootstrap)
    rescaled, whole = (
        deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name=name) for name in ("scaled", "whole")
    )
    part = MARKET.height // len(STEPS)
    for number, workers in enumerate(STEPS):
        rows = MARKET[number * part : (number + 1) * part]
        produce_on_time(rescaled.kafka, events, [rows], PARTITIONS)
        cluster = rescaled.start(LIVE, workers=workers)
        until(lambda: rescaled.has_caught_up() or cluster.poll() is not None, "a part of the market")  # noqa: B023
        until(lambda: committed(rescaled, PARTITIONS) == written(rescaled), "the offsets for lag tools")
        stop(cluster, rescaled)
        assert sum(written(rescaled)) == (number + 1) * part
    whole.run()
    rescaled.run()
    assert_same(rescaled.tables(), whole.tables())
    assert_same(rescaled.output(), whole.output())
    delete_records(rescaled)  # a start that wanted to read again what was read would fail now
    rescaled.run(workers=2)


def tick(symbol: str, second: float) -> str:
    at = (START + timedelta(seconds=second)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    event = {"provider": "feed", "symbol": symbol, "kind": "tick", "src_ts": at, "c": 100.0, "v": 1.0}
    return json.dumps({"ver": 1, **event, "event_id": f"{symbol}{second}"})


def send(deployment: Deployment, partition: int, *events: str) -> None:
    producer = Producer({"bootstrap.servers": deployment.kafka})
    for event in events:
        producer.produce(deployment.events, event, partition=partition)
    assert producer.flush(30) == 0


def test_a_partition_that_was_added_is_read_from_the_next_start_on(deploy: Deployments) -> None:
    grown = deploy(partitions=1, name="grown")
    send(grown, 0, tick("moves", 0), tick("stays", 0), tick("stays", 3))
    worker = grown.start(LIVE)
    until(lambda: grown.progress == 3, "the only partition")
    stop(worker, grown)
    admin = AdminClient({"bootstrap.servers": grown.kafka, "log_level": 0})
    topics = (grown.events, *grown.topics.values())
    for added in admin.create_partitions([NewPartitions(topic, 2) for topic in topics]).values():
        added.result(30)
    send(grown, 1, tick("moves", 1), tick("moves", 5))
    grown.run(workers=2)
    bars = grown.query("SELECT symbol, extract(second FROM window_start)::int, partition FROM bars_ohlcv ORDER BY 1, 2")
    assert bars == [("moves", 0, 0), ("moves", 4, 1), ("stays", 0, 0), ("stays", 2, 0)]
    assert "1 bars skipped as another partition wrote them" in grown.said.read_text()
