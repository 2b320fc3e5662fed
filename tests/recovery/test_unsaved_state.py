"""State cannot be saved: a line says why and what to do, and the next run goes on."""

import shlex
import sqlite3
import sys
from contextlib import closing

import pytest

from tests.harness import SECONDS, Deployment, Deployments, until
from tests.market import FEATURES, PARTITIONS, market_topic

MDP = [sys.executable, "-c", "from mdp.cli import main; main()"]
BUSY = ["--set", "micro_batch.flush_timeout_ms=3600000"]  # so no heartbeats


@pytest.fixture(scope="module")
def flow(deploy: Deployments) -> Deployment:
    events = market_topic(deploy.stack.kafka.bootstrap, 20_000, symbols=500)
    return deploy(events, partitions=PARTITIONS, features=FEATURES, name="unsaved")


def last_error(flow: Deployment) -> str:
    return [line for line in flow.said.read_text().splitlines() if line.startswith("error: ")][-1]


def test_a_disk_that_is_full_is_told_at_the_start_and_on_the_way(flow: Deployment) -> None:
    command = shlex.join([*MDP, "stream", "run", "--until-end"])
    for kilobytes in (100, 400):  # that a file may have
        process = flow.spawn(["bash", "-c", f"ulimit -f {kilobytes} && exec {command}"])
        assert process.wait(SECONDS) == 2
        assert last_error(flow).startswith(f"error: state cannot be saved in {flow.home}")
        assert "File too large" in last_error(flow) or "disk I/O error" in last_error(flow)
        assert "Traceback" not in flow.said.read_text()
    flow.run()


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_a_panic_of_sqlite_is_told_in_a_line(flow: Deployment, workers: str) -> None:
    process = flow.command("stream", "run", "--workers", workers, *BUSY)
    until(lambda: flow.has_caught_up() and flow.connections(), "a run that has begun")
    (part,) = flow.home.glob("recovery/unsaved-market/part-*.sqlite3")
    with closing(sqlite3.connect(part, timeout=SECONDS, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        assert process.wait(SECONDS) == 2
    assert "database is locked" in last_error(flow)
    assert "Traceback" not in flow.said.read_text()
