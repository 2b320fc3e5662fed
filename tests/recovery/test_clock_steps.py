"""The time of day jumps under a running flow: nothing waits for the clock to come to where it was, results stay."""

import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from confluent_kafka import Consumer, TopicPartition

from chaos.clock import SteppedClock
from tests.harness import Deployment, Deployments, assert_same, produce_on_time, until
from tests.market import FEATURES, PARTITIONS, RULES, chunks, empty_topic

MARKET = pl.concat(list(chunks(4_000, symbols=20)))
THIRD = MARKET.height // 3
BUSY = "micro_batch.flush_timeout_ms=3600000"  # so no heartbeats
HOUR = 3_600.0


@pytest.fixture
def clock(tmp_path: Path, debian_program: Callable[[str], str]) -> SteppedClock:
    debian_program("cc")
    return SteppedClock(tmp_path)


def committed(flow: Deployment) -> int:
    """How many records are in snapshots, which are taken at the end of an epoch."""
    consumer = Consumer({"bootstrap.servers": flow.kafka, "group.id": f"group-{flow.events}"})
    places = consumer.committed([TopicPartition(flow.events, number) for number in range(PARTITIONS)], timeout=30)
    consumer.close()
    return sum(max(place.offset, 0) for place in places)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_flow_goes_on_when_the_clock_is_set_forward_and_back(
    deploy: Deployments, clock: SteppedClock, workers: int
) -> None:
    events = empty_topic(deploy.stack.kafka.bootstrap)
    flow = deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name=f"stepped-{workers}")
    process = flow.spawn([sys.executable, "-m", "tests.worker", "market", str(workers), BUSY], **clock.environment)
    for third, apart in enumerate([0, HOUR, -HOUR]):
        clock.apart = apart
        produce_on_time(flow.kafka, events, [MARKET[third * THIRD : (third + 1) * THIRD]], PARTITIONS)
        until(flow.has_caught_up, "all of the log")
    until(lambda: committed(flow) == flow.progress, "snapshots after the steps")
    process.terminate()
    flow.ends_well(process)
    expected = deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name="undisturbed")
    for either in (flow, expected):
        either.run(BUSY)
    assert_same(flow.tables(), expected.tables())
    assert_same(flow.output(), expected.output())
