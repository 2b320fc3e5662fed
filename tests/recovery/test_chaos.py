"""A slice of `make chaos`: each kind of fault once, under load, and nothing missing, wrong or there twice."""

from collections import Counter
from pathlib import Path

import pytest

from chaos.faults import KINDS, WITHOUT_LOST_ENDS, plan
from chaos.market_case import MARKET
from chaos.message_case import MESSAGES
from chaos.oracle import Oracle
from chaos.outputs import Findings
from chaos.pipeline import Pipeline
from chaos.run import run

SECONDS = 150.0  # of load; with setting up and settling about three minutes
RATE = 20_000.0
SEED = 20251024


@pytest.mark.slow
def test_faults_of_every_kind_leave_nothing_missing_wrong_or_twice(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path / "chaos", 2, MARKET)
    faults = plan(SEED, len(KINDS), SECONDS)
    said: list[str] = [f"seed {SEED}"]
    result = run(pipeline, faults, rate=RATE, seconds=SECONDS, seed=SEED, say=said.append)
    assert result.faults == Counter(KINDS)
    assert result.findings.are_good, "\n".join([*said, *result.findings.examples])
    assert result.findings.rows["signals"] > 1_000
    assert min(expected for name, (expected, _) in result.findings.outcomes.items() if name != "heartbeat") > 100


@pytest.mark.slow
def test_faults_leave_no_message_missing_wrong_or_twice(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path / "chaos", 2, MESSAGES)
    faults = plan(SEED, len(WITHOUT_LOST_ENDS), SECONDS, WITHOUT_LOST_ENDS)
    said: list[str] = [f"seed {SEED}"]
    result = run(pipeline, faults, rate=1_000.0, seconds=SECONDS, seed=SEED, say=said.append)
    assert result.faults == Counter(WITHOUT_LOST_ENDS)
    assert result.findings.are_good, "\n".join([*said, *result.findings.examples])
    assert min(result.findings.rows[name] for name in ("trades", "quotes", "mdp.events.dlq")) > 100


def test_a_plan_is_decided_by_its_seed_and_has_as_many_faults_of_each_kind() -> None:
    faults = plan(1, 80, 1_000.0)
    assert faults == plan(1, 80, 1_000.0) != plan(2, 80, 1_000.0)
    assert Counter(fault.kind for fault in faults) == dict.fromkeys(KINDS, 10)
    assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)


def test_rows_that_are_missing_wrong_or_twice_are_counted_and_named() -> None:
    findings = Findings()
    found = [("a", 1), ("a", 1), ("b", 0), ("d", 4)]
    findings.compare("bars", {"a": 1, "b": 2, "c": 3}, iter(found))
    assert (findings.missing["bars"], findings.wrong["bars"], findings.duplicates["bars"]) == (1, 2, 1)
    assert not findings.are_good
    assert "bars: c is missing: 3" in findings.examples


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b'{"ver":1,"provider":"p","symbol":"S","kind":"tick","src_ts":"2025-10-24T14:00:00Z","c":1,"v":-1}',
        b'{"ver":1,"provider":"p","symbol":"S","kind":"tick","src_ts":"2025-10-24T14:00:00","c":1,"v":1}',
        b'{"ver":2,"provider":"p","symbol":"S","kind":"tick","src_ts":"2025-10-24T14:00:00Z","c":1,"v":1}',
        b'{"ver":1,"provider":"p","symbol":"S","kind":"tick","src_ts":"2999-10-24T14:00:00Z","c":1,"v":1}',
    ],
)
def test_the_oracle_rejects_what_breaks_the_contract(value: bytes) -> None:
    oracle = Oracle()
    oracle.take(3, 7, 1_761_314_400_000_000_000, value)
    assert oracle.finish().rejected == {(3, 7)}
