from __future__ import annotations

import gc
import math
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from mdp.local import ports
from telemetry import health
from telemetry.config import TelemetryConfig
from telemetry.health import STUCK_SECONDS, Readiness, problems
from telemetry.outage import Outage
from telemetry.partition_lag import Reading
from telemetry.server import serve
from tests.harness import until
from tests.telemetry.endpoints import Endpoints, free_ports

HOUR_MS = 3_600_000


class Log:
    """Of one partition: where it ends, and how far it has been read."""

    def __init__(self, partition: int) -> None:
        self.position, self.end = 0, 0
        self.reading = Reading("log", partition, "group", lambda: self.position, lambda: self.end)


@pytest.fixture
def log() -> Iterator[Log]:
    made = Log(7)
    yield made
    made.reading.close()


def seconds(reading: Reading) -> float:
    return round(reading.lag_ms() / 1e3)


def test_a_lag_is_the_age_of_the_last_record_read_while_there_are_more(log: Log) -> None:
    log.end = 10
    log.reading.read(int(time.time() * 1e3) - HOUR_MS)
    log.position = 4
    assert seconds(log.reading) == 3_600
    assert log.reading.lag_offsets() == 6
    log.position = 10
    assert log.reading.lag_ms() == log.reading.lag_offsets() == 0


def test_a_record_that_comes_after_a_long_silence_is_no_long_lag(log: Log) -> None:
    log.reading.read(int(time.time() * 1e3) - HOUR_MS)
    log.reading.reached_end()
    log.end = 1
    assert log.reading.lag_offsets() == 1
    assert seconds(log.reading) == 0


def test_who_has_read_up_to_an_open_transaction_lags_behind_what_it_holds_back(log: Log) -> None:
    log.end = 5
    log.reading.read(int(time.time() * 1e3) - HOUR_MS)
    log.position = 3
    log.reading.reached_end()
    assert seconds(log.reading) == 3_600


def test_a_worker_is_ready_when_its_partitions_are_read_and_not_far_behind(log: Log) -> None:
    readiness = Readiness({}, most_lag_ms=10_000)
    assert readiness.obstacles() == ["partition 7 has not been read yet"]
    log.reading.reached_end()
    assert readiness.obstacles() == []
    log.end, log.reading._caught_up_at = 5, -math.inf
    log.reading.read(int(time.time() * 1e3) - HOUR_MS)
    assert readiness.obstacles() == ["partition 7 lags 3600.0 s behind"]
    log.reading.close()
    assert readiness.obstacles() == ["no partition is assigned"]


def test_a_service_that_cannot_be_reached_does_not_answer_or_is_waited_for_is_a_reason(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_ANSWER_SECONDS", 0.05)
    log.reading.reached_end()
    hung, attempts = threading.Event(), []

    def hang() -> None:
        attempts.append(1)
        hung.wait(10)

    def fail() -> None:
        raise ConnectionError("refused,\nagain")

    readiness = Readiness({"A": fail, "B": hang, "C": lambda: None}, most_lag_ms=1)
    outage = Outage("C")
    outage.begin("it is gone")
    for _ in range(2):
        assert sorted(readiness.obstacles()) == [
            "A is not available: refused, again",
            "B does not answer",
            "waiting for C",
        ]
    assert len(attempts) == 1  # the one that still goes on
    hung.set()
    outage.end()
    assert readiness.obstacles() == ["A is not available: refused, again"]


def test_what_a_failed_attempt_has_opened_is_let_go() -> None:
    """A worker looks for cycles so rarely that threads and connections would pile up in an outage."""
    opened: list[weakref.ref[threading.Event]] = []

    def fail() -> None:
        connection = threading.Event()
        opened.append(weakref.ref(connection))
        raise ConnectionError("refused")

    readiness = Readiness({"A": fail}, most_lag_ms=1)
    gc.disable()
    try:
        assert "A is not available: refused" in readiness.obstacles()
        until(lambda: opened[0]() is None, "nothing of it")
    finally:
        gc.enable()


def test_a_worker_is_alive_unless_it_is_stuck_for_no_reason(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    long_ago = time.monotonic() - STUCK_SECONDS - 1
    monkeypatch.setattr(health, "_written_at", long_ago)
    assert problems() == []
    log.reading.asked_at = long_ago
    stuck = f"partition 7 has not been polled for {STUCK_SECONDS + 1:.0f} s"
    assert problems() == [stuck]
    assert stuck in Readiness({}, most_lag_ms=1e9).obstacles()
    outage = Outage("something")
    outage.begin("it is gone")
    assert problems() == []
    outage.end()
    health.note_write()
    assert problems() == []


def test_a_port_that_is_taken_keeps_nobody_from_working() -> None:
    port = free_ports(1)
    with socket.create_server((ports.HOST, port)):
        serve(TelemetryConfig(metrics_port=port), 0, {})
    serve(TelemetryConfig(metrics_port=port - 1), 1, {})
    assert Endpoints(port).get("/health")[0] == 200
    serve(TelemetryConfig(metrics_port=port), 0, {})
    assert Endpoints(port).get("/health")[0] == 200


def test_no_port_is_opened_where_none_is_asked_for() -> None:
    before = threading.active_count()
    serve(TelemetryConfig(metrics_port=0), 0, {})
    assert threading.active_count() == before


def test_half_sent_requests_keep_nobody_out_and_are_cut_off() -> None:
    port = free_ports(1)
    serve(TelemetryConfig(metrics_port=port), 0, {})
    before = threading.active_count()
    with ExitStack() as stack:
        lines = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)) for _ in range(200)]
        for line in lines:
            line.sendall(b"GET /health HTTP/1.1\r\nHost")
        assert Endpoints(port).judged("/health")[0] == 200
        assert threading.active_count() - before < 50
        assert [line.recv(1) for line in lines] == [b""] * len(lines)
    until(lambda: threading.active_count() == before, "the end of the threads")
