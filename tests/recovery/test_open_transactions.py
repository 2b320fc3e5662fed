"""An open transaction holds up the events topic: everything waits for it, and nothing comes out wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from confluent_kafka import Producer

from tests.harness import Deployment, Deployments, assert_same, create_topic, records, until
from tests.open_transaction import opened
from tests.telemetry.endpoints import Endpoints, free_ports
from transports.kafka.config import KafkaConfig
from transports.kafka.topics import log_ends

START: Final = datetime(2025, 10, 24, 14, tzinfo=UTC)
RANGE: Final = ("--from", "2025-10-24T14:00:00Z", "--to", "2025-10-24T15:00:00Z")
HASTY: Final = {"flush_timeout_ms": 300, "allow_late_ms": 0, "amend_ms": 0}  # a heartbeat too many makes events late
HELD_SECONDS: Final = 3.0  # ten times the silence that closes a window
FEATURES: Final = {"windows": [{"name": "vwap_4s", "horizon": "4s"}]}


def ticks(window: int, symbol: str, seqs: Iterable[int]) -> list[bytes]:
    """Events in a window of 2 s, 100 ms apart."""
    values = []
    for seq in seqs:
        at = START + timedelta(seconds=2 * window, milliseconds=100 * seq)
        event = {
            "ver": 1,
            "provider": "feed",
            "symbol": symbol,
            "kind": "tick",
            "src_ts": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "c": 100.0 + seq,
            "v": 1.0,
            "seq": 100 * window + seq,
        }
        values.append(json.dumps(event).encode())
    return values


def send(flow: Deployment, values: Iterable[bytes]) -> None:
    producer = Producer({"bootstrap.servers": flow.kafka})
    for value in values:
        producer.produce(flow.events, value, partition=0)
    assert producer.flush(30) == 0


def log_end(flow: Deployment) -> int:
    return log_ends(KafkaConfig(brokers=flow.kafka), flow.events, [0])[0]


def bars(flow: Deployment) -> list[tuple[int, str, int]]:
    """(number of the window, symbol, trades)."""
    query = f"""SELECT (extract(epoch FROM window_start) - {START.timestamp():.0f})::bigint / 2, symbol, trades
        FROM bars_ohlcv ORDER BY window_start, symbol"""
    return [(int(window), str(symbol), int(trades)) for window, symbol, trades in flow.query(query)]


def outcomes(flow: Deployment) -> tuple[int, ...]:
    """Accepted, amending, duplicate, late and rejected events."""
    return flow.query("SELECT accepted, amending, duplicate, late, rejected FROM progress")[0]


@pytest.fixture
def make(deploy: Deployments) -> Callable[..., Deployment]:
    """Flows of one partition, whose windows nothing but heartbeats and later events closes."""

    def made(name: str, events: str | None = None) -> Deployment:
        return deploy(events, partitions=1, micro_batch=HASTY, features=FEATURES, name=name)

    return made


def test_no_heartbeat_makes_events_late_that_cannot_be_read_yet(make: Callable[..., Deployment]) -> None:
    live, port = make("held"), free_ports(1)
    endpoints = Endpoints(port)
    send(live, ticks(0, "A", range(3)))
    producer = opened(live.kafka, live.events, ticks(0, "B", range(3)))
    worker = live.start(f"telemetry.metrics_port={port}")
    metric = "stream_open_transaction_seconds"
    until(lambda: metric in endpoints.metrics() and endpoints.total(metric) > HELD_SECONDS, "an open transaction")
    assert log_end(live) == 6  # and no heartbeats
    send(live, ticks(0, "A", range(3, 6)))
    send(live, ticks(1, "A", range(3)))
    until(lambda: endpoints.total("stream_consumer_lag_offsets") == 12 - 3, "the lag to the end of the log")
    producer.commit_transaction(30)
    until(lambda: (1, "A", 3) in bars(live), "the bars of the last window")
    worker.terminate()
    live.ends_well(worker)
    assert bars(live) == [(0, "A", 6), (0, "B", 3), (1, "A", 3)]
    assert outcomes(live) == (12, 0, 0, 0, 0)
    again = make("again", live.events)
    again.run()
    assert_same({"bars": again.tables()["bars_ohlcv"]}, {"bars": live.tables()["bars_ohlcv"]})


@pytest.mark.parametrize(
    ("how", "held"), [("commit_transaction", [(1, "B", 5)]), ("abort_transaction", [])], ids=["commit", "abort"]
)
def test_a_bounded_run_waits_for_the_end_of_a_transaction_in_its_range(
    make: Callable[..., Deployment], how: str, held: list[tuple[int, str, int]]
) -> None:
    flow = make(how)
    send(flow, ticks(0, "A", range(5)))
    producer = opened(flow.kafka, flow.events, ticks(1, "B", range(5)))
    send(flow, ticks(2, "A", range(5)))
    run = flow.start("run.until_end=true")
    until(lambda: "--start-offset 5" in flow.said.read_text() or run.poll() is not None, "what the run waits for")
    assert run.poll() is None
    send(flow, ticks(9, "A", range(5)))  # after the end of the range
    getattr(producer, how)(30)
    flow.ends_well(run)
    assert bars(flow) == [(0, "A", 5), *held, (2, "A", 5)]


def test_a_bounded_run_ends_behind_an_aborted_transaction(make: Callable[..., Deployment]) -> None:
    flow = make("aborted")
    send(flow, ticks(0, "A", range(5)))
    opened(flow.kafka, flow.events, ticks(1, "B", range(5))).abort_transaction(30)
    flow.run()
    assert bars(flow) == [(0, "A", 5)]


def test_a_replay_of_a_range_waits_too(make: Callable[..., Deployment]) -> None:
    flow = make("replayed")
    target = create_topic(flow.kafka, "replay", 1)
    send(flow, ticks(0, "A", range(5)))
    producer = opened(flow.kafka, flow.events, ticks(0, "B", range(5)))
    send(flow, ticks(0, "C", range(5)))
    command = ("stream", "replay", *RANGE, "--to-topic", target)
    replay = flow.command(*command)
    until(lambda: "at offset 5" in flow.said.read_text() or replay.poll() is not None, "what the replay waits for")
    assert replay.poll() is None
    producer.commit_transaction(30)
    flow.ends_well(replay)
    assert [record.value for record in records(flow.kafka, target)] == [
        value for symbol in "ABC" for value in ticks(0, symbol, range(5))
    ]
