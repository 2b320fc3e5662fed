from __future__ import annotations

import fcntl
import json
from pathlib import Path

import psycopg
import pytest
from confluent_kafka.admin import AdminClient

from mdp.local import LocalStack
from tests.cli.cli_result import Config, Mdp
from tests.harness import until

STEPS = {"read", "windows", "rolling", "inference", "timescale", "other"}


def left_behind(stack: LocalStack, admin: AdminClient) -> list[str]:
    with psycopg.connect(stack.postgres.conninfo()) as connection:
        databases = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'bench-%'").fetchall()
    return [*(name for (name,) in databases), *(t for t in admin.list_topics().topics if t.startswith("bench-"))]


def test_it_measures_the_config_on_ground_of_its_own(
    mdp: Mdp, config: Config, stack: LocalStack, admin: AdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MDP_HOME", str(stack.root))
    size = ("--count", "20000", "--seconds", "2", "--rate", "1000", "--symbols", "20")
    mine = ("--config", config(), "--set", "micro_batch.window_ms=500", "--set", "bus.kafka.options={sasl.username: u}")
    result = mdp("bench", *size, *mine, "--json")  # that config's broker and database are nowhere
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert found["events"] == 20_000
    assert min(found[name] for name in ("events_per_s", "cpu_s_per_m", "peak_mb")) > 0
    assert found["steps"].keys() >= STEPS
    assert sum(step["share"] for step in found["steps"].values()) == pytest.approx(1, abs=0.05)
    live = found["live"]
    assert live["events"] == pytest.approx(2_000, rel=0.05)  # and what comes twice
    assert live["latency_ms"]["steps"]["batches"] > live["latency_ms"]["timescale"]["batches"] > 0
    assert 0 < live["latency_ms"]["timescale"]["p50"] <= live["latency_ms"]["timescale"]["p99"]
    until(lambda: left_behind(stack, admin) == [], "nothing is left behind")  # the broker hears of it a moment later
    assert all(service.answers for service in stack.status())  # it ran before


def test_without_a_live_market_it_prints_a_table_of_the_steps(
    mdp: Mdp, stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MDP_HOME", str(stack.root))
    result = mdp("bench", "--count", "5000", "--seconds", "0", "--encoding", "arrow")
    assert result.code == 0, result.err
    assert all(f" {step} " in result.out for step in STEPS)
    assert "5,000 events" in result.out
    assert "Live" not in result.out


def test_a_mistake_in_the_config_is_told_before_anything_is_started(mdp: Mdp, config: Config) -> None:
    result = mdp("bench", "--config", config(), "--set", "micro_batch.window_ms=-1")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert "micro_batch.window_ms" in result.err


def test_one_benchmark_runs_at_a_time(
    mdp: Mdp, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MDP_HOME", str(tmp_path))
    with (tmp_path / "bench.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = mdp("bench", "--config", config())
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert "another benchmark runs" in result.err
