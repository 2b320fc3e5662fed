"""Records that are small in the log and large in memory: the flow stays small, and good events count."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.harness import Deployments, until
from tests.market import PARTITIONS, market_topic

ABORTED = 8
BOMBS = 60
BOMB = b'{"junk":"' + b"a" * 40_000_000 + b'"}'  # 2 KB when zstd has packed it
EVENTS = 50_000
MOST_KB = 1_500_000


def peak_kb(process: int) -> int:
    """The most memory that a process has ever had; 0 where it has ended."""
    status = Path(f"/proc/{process}/status").read_text()
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)


def abort_some(kafka: str, topic: str, partitions: int) -> None:
    """Transactions of large batches, which come to nothing: after each the client may ask for twice as much at once."""
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": topic})
    producer.init_transactions(30)
    for _ in range(ABORTED):
        producer.begin_transaction()
        for partition in range(partitions):
            producer.produce(topic, random.randbytes(900_000), partition=partition)
        assert producer.flush(30) == 0
        producer.abort_transaction(30)


@pytest.mark.slow
@pytest.mark.parametrize("partitions", [1, PARTITIONS])
def test_what_compression_has_made_small_does_not_exhaust_a_worker(
    deploy: Deployments, partitions: int, record_testsuite_property: Callable[[str, object], None]
) -> None:
    kafka = deploy.stack.kafka.bootstrap
    topic = market_topic(kafka, EVENTS)
    abort_some(kafka, topic, partitions)
    options = {"compression.type": "zstd", "message.max.bytes": 1_000_000_000, "queue.buffering.max.kbytes": 200_000}
    producer = Producer({"bootstrap.servers": kafka, **options})
    for number in range(BOMBS):
        producer.produce(topic, BOMB, partition=number % partitions, timestamp=1_761_314_400_000)
        assert producer.flush(60) == 0
    flow = deploy(topic, partitions=PARTITIONS)
    worker, peak = flow.start("run.until_end=true"), 0

    def has_ended() -> bool:
        nonlocal peak
        peak = max(peak, peak_kb(worker.pid))
        return worker.poll() is not None

    until(has_ended, "the end of the run")
    flow.ends_well(worker)
    assert flow.query("SELECT sum(accepted + amending)::bigint FROM progress") == flow.query(
        "SELECT sum(trades)::bigint FROM bars_ohlcv"
    )
    record_testsuite_property(f"kilobytes at most, with bombs on {partitions} partitions", peak)
    assert peak < MOST_KB
    bombs = [record for record in flow.records("dlq") if (record.value or b"")[:8] == BOMB[:8]]
    assert len(bombs) == BOMBS
