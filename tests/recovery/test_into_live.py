"""Whoever kills a recomputation of live rows finds the old ones or the new ones, and never some of both."""

from __future__ import annotations

import os
import signal
from typing import Any, Final

import psycopg
import pytest

from tests.harness import Deployment, Deployments, assert_same, kill, until
from tests.market import FEATURES, PARTITIONS, RULES, START, market_topic

SECOND: Final = 1_000_000_000
SPAN: Final = (f"run.from_ns={START + 8 * SECOND}", f"run.to_ns={START + 16 * SECOND}")
REPLACE: Final = (*SPAN, "run.into=live", "run.overwrite=true")
OTHER_RULES: Final[list[dict[str, Any]]] = [
    {"name": "calm", "condition": "volatility < 0.5", "signal": 0.0, "score": 0.1}
]
ENTERS: Final = """
SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
    AND query LIKE 'INSERT INTO job_runs%'"""
WAITS: Final = """
SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
    AND query LIKE 'INSERT INTO %series%'"""


@pytest.fixture(scope="module")
def flow(deploy: Deployments) -> Deployment:
    """Live tables made by some rules, and a config with others, by which a range is computed again."""
    events = market_topic(deploy.stack.kafka.bootstrap, 20_000, symbols=8)
    flow = deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name="again")
    flow.run()
    flow.rules = OTHER_RULES
    flow.configure(flow.sections)
    return flow


def results(flow: Deployment) -> dict[str, list[str]]:
    return {table: rows for table, rows in flow.tables().items() if table != "progress"}


@pytest.fixture(scope="module")
def old(flow: Deployment) -> dict[str, list[str]]:
    return results(flow)


def test_killed_while_it_computes_it_has_changed_nothing(flow: Deployment, old: dict[str, list[str]]) -> None:
    process = flow.start(*REPLACE)
    until(lambda: flow.query("SELECT FROM runs"), "the run")
    kill(process)
    assert_same(results(flow), old)


def test_killed_while_it_replaces_it_has_changed_nothing_and_can_be_begun_again(
    flow: Deployment, old: dict[str, list[str]]
) -> None:
    with psycopg.connect(flow.database) as connection:
        # The last thing that is written waits for this: all rows have been deleted and inserted by then.
        connection.execute("DELETE FROM series")
        connection.commit()
        connection.execute("INSERT INTO series SELECT DISTINCT 'signals', provider, symbol, \"interval\" FROM signals")
        process = flow.start(*REPLACE)
        until(lambda: flow.query(WAITS), "the last statement of the replacement")
        kill(process)
        assert_same(results(flow), old)
    until(lambda: not flow.query(WAITS), "the end of its transaction")
    assert_same(results(flow), old)

    flow.ends_well(flow.start(*REPLACE))
    new = results(flow)
    assert new["bars_ohlcv"] == old["bars_ohlcv"]
    inside = [row.split("\t") for row in new["signals"] if "2025-10-24 14:00:12" in row]
    assert {row[5] for row in inside} == {"calm"}


def test_workers_that_have_lost_who_started_them_get_into_no_other_run_of_the_name(flow: Deployment) -> None:
    flow.ends_well(flow.start(*SPAN, "run.name=alone"))
    process = flow.start(*SPAN, "run.name=orphans", "inference.adapters.rules.enabled=false", workers=2)
    until(lambda: ("orphans",) in flow.query("SELECT name FROM runs"), "the run")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    flow.ends_well(flow.start(*SPAN, "run.name=orphans"))
    code, said = flow.mdp("runs", "diff", "alone", "orphans")
    assert code == 0, said
    flow.mdp("runs", "drop", "alone", "orphans", "--yes")


@pytest.mark.parametrize(("overrides", "left"), [((*SPAN, "run.name=ended"), ["stopped"]), (REPLACE, [])])
def test_a_run_that_is_told_to_stop_is_listed_as_stopped_and_replaces_nothing(
    flow: Deployment, overrides: tuple[str, ...], left: list[str]
) -> None:
    before = results(flow)
    with psycopg.connect(flow.database) as connection:
        connection.execute("LOCK TABLE job_runs")  # an entry there comes before the first record is read
        process = flow.start(*overrides)
        until(lambda: flow.query(ENTERS), "the start of the run")
        process.terminate()
        connection.rollback()
    flow.ends_well(process)
    assert [status for name, status in flow.query("SELECT name, status FROM runs") if name in ("ended", "live")] == left
    assert_same(results(flow), before)
    if left:
        assert flow.mdp("runs", "drop", "ended", "--yes")[0] == 0


def test_what_a_killed_one_has_left_is_listed_and_can_be_dropped(flow: Deployment) -> None:
    before = len(flow.query("SELECT FROM runs"))
    process = flow.start(*REPLACE)
    until(lambda: len(flow.query("SELECT FROM runs")) > before, "the run")
    kill(process)
    code, said = flow.mdp("runs")
    assert code == 0
    assert "killed" in said
    left = [name for (name,) in flow.query("SELECT name FROM runs")]
    assert said.count("killed") + said.count("finished") == len(left)
    assert flow.mdp("runs", "drop", *left, "--yes")[0] == 0
    assert flow.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'run%'") == []
