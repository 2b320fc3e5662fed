"""A run says on a terminal how it is doing, and anywhere what costs results."""

import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mdp.runtime.status_line import line
from telemetry.status import Status
from tests.harness import SECONDS, Deployment, Deployments, kill, until
from tests.market import FEATURES, PARTITIONS, RULES, market_topic

RUN = [sys.executable, "-c", "from mdp.cli import main; main()", "stream", "run"]
BUSY = ["--set", "micro_batch.flush_timeout_ms=3600000"]  # so no heartbeats
LINE = re.compile(rb"[\d,]+ events/s, [\d.]+ s behind, [\d.]+ % late, [\d,]+ bars, ([\d,]+) signals")


@pytest.fixture(scope="module")
def flow(deploy: Deployments) -> Deployment:
    events = market_topic(deploy.stack.kafka.bootstrap, 20_000, symbols=20)
    return deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name="status")


@contextmanager
def terminal() -> Iterator[tuple[int, bytearray]]:
    """Its end for a program, and all that comes out of it."""
    ours, theirs = pty.openpty()
    said = bytearray()

    def listen() -> None:
        try:
            while text := os.read(ours, 10_000):
                said.extend(text)
        except OSError:  # the program has ended
            return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield theirs, said
    finally:
        os.close(theirs)
        listener.join(SECONDS)
        os.close(ours)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_line_on_a_terminal_is_about_all_workers(flow: Deployment, workers: int) -> None:
    with terminal() as (screen, said):
        command = [*RUN, *BUSY, "--reset-state", "--workers", str(workers)]
        process = subprocess.Popen(command, env=flow.environment, stderr=screen, start_new_session=True)
        try:
            until(lambda: flow.progress and flow.has_caught_up(), "all of the log")
            signals = f"{len(flow.records('signals')):,}".encode()
            until(lambda: LINE.findall(said)[-1:] == [signals], "a line about all of it")
            process.terminate()
            assert process.wait(SECONDS) == 0
        finally:
            if process.poll() is None:
                kill(process)


def test_nothing_is_said_off_a_terminal_nor_where_it_shall_be_quiet(flow: Deployment) -> None:
    with terminal() as (screen, said):
        command = [*RUN, "--until-end", "--quiet"]
        subprocess.run(command, env=flow.environment, stderr=screen, timeout=SECONDS, check=True)
        until(lambda: b"finished" in said, "what is said at the end")
    assert not LINE.search(said)


def test_late_events_and_idle_workers_are_warned_of(flow: Deployment, deploy: Deployments) -> None:
    strict = {"allow_late_ms": 0, "amend_ms": 0}
    late = deploy(flow.events, partitions=PARTITIONS, features=FEATURES, micro_batch=strict, name="late")
    late.run()
    said = late.said.read_text()
    assert re.search(r"\d\.\d % of the last [\d,]+ events were too late for their bars: `mdp stream lateness`", said)
    assert "have nothing to read" not in said
    narrow = deploy(partitions=1, name="narrow")
    narrow.run(workers=2)
    assert "more workers (2) than partitions (1)" in narrow.said.read_text()


def test_the_line_says_what_is_waited_for() -> None:
    now = Status(events=10_000, late=5, bars=1_200, signals=3, lag_ms=1_250, waiting=("Kafka", "the database"))
    assert line(now, 2_000.4) == (
        "2,000 events/s, 1.2 s behind, 0.05 % late, 1,200 bars, 3 signals; waiting for Kafka and the database"
    )
