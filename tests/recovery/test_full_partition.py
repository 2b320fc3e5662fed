"""More symbols and providers than a partition may hold: the worker stays small, and no crash changes its rejects."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from contracts.record import ARROW
from tests.flows.crowded_topics import PROVIDERS, SYMBOLS, many_providers, within_a_span
from tests.harness import Deployments, assert_same, create_topic, until
from tests.market import FEATURES, PARTITIONS, RULES, market_topic
from tests.recovery.crashing_worker import POINTS, TAKEOVER
from tests.recovery.test_crash_points import crash

LARGEST = 4_200_000  # bytes of a record
MOST_KB = 1_500_000
CRASHES = 4
LIMITS = {"max_symbols": 10, "max_providers": 1}


@pytest.mark.slow
def test_crashes_reject_the_same_events(deploy: Deployments) -> None:
    market = market_topic(deploy.stack.kafka.bootstrap, 20_000)
    flow, whole = (
        deploy(market, partitions=PARTITIONS, rules=RULES, features=FEATURES, micro_batch=LIMITS, name=name)
        for name in ("crashing", "whole")
    )
    chance = random.Random(7)
    for point in chance.sample(sorted(POINTS.keys() - TAKEOVER), CRASHES):
        crash(flow, point, chance.randrange(1, 4))
    flow.run()
    whole.run()
    assert_same(flow.tables(), whole.tables())
    assert_same(flow.output(), whole.output())
    reasons = Counter(record.header("dlq_reason") for record in whole.records("dlq"))
    assert reasons["too_many_symbols"] > 1_000
    assert whole.query("SELECT count(*) FROM bars_ohlcv") > [(100,)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("topic", "rows", "partitions"),
    [(within_a_span, SYMBOLS, 1), (within_a_span, SYMBOLS, PARTITIONS), (many_providers, PROVIDERS, 1)],
    ids=["symbols", "symbols-everywhere", "providers"],
)
def test_a_worker_stays_small(
    deploy: Deployments,
    topic: Callable[[], Iterator[bytes]],
    rows: int,
    partitions: int,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    kafka = deploy.stack.kafka.bootstrap
    events = create_topic(kafka, "many", partitions, max_message_bytes=str(LARGEST))
    producer = Producer({"bootstrap.servers": kafka, "message.max.bytes": LARGEST})
    for payload in topic():
        for partition in range(partitions):
            producer.produce(events, payload, partition=partition, headers=[("content-type", ARROW)])
    assert producer.flush(60) == 0
    flow = deploy(events, partitions=partitions, name=f"full-{partitions}")
    worker, peak = flow.start("run.until_end=true"), 0

    def has_ended() -> bool:
        nonlocal peak
        status = Path(f"/proc/{worker.pid}/status").read_text()
        peak = max([peak, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))])
        return worker.poll() is not None

    until(has_ended, "the end of the run")
    flow.ends_well(worker)
    record_testsuite_property(f"kilobytes at most, {topic.__name__} on {partitions} partitions", peak)
    assert peak < MOST_KB
    ((accepted, rejected, bars),) = flow.query(
        "SELECT sum(accepted)::bigint, sum(rejected)::bigint, (SELECT count(*) FROM bars_ohlcv) FROM progress"
    )
    assert accepted + rejected == rows * partitions
    assert bars > 0
