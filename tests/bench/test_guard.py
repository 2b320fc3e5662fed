from __future__ import annotations

import pytest

from bench import guard
from flows.config_file import load
from native import memory_tuning


def test_every_job_is_measured_beside_decoding_alone() -> None:
    found = guard.ratios(load(guard.CONFIG, []), guard.batches(2_000), rounds=1)
    assert found.keys() == {"bars", "full"}
    assert all(ratio > 0 for ratio in found.values())


def test_a_cost_above_its_bound_fails_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(guard, "batches", lambda count: [])
    monkeypatch.setattr(guard, "ratios", lambda *given: {"bars": 0.5, "full": 1_000.0})
    monkeypatch.setattr(guard, "load", lambda *given: None)
    monkeypatch.setattr(memory_tuning, "tune", lambda: None)
    with pytest.raises(SystemExit) as ended:
        guard.main()
    assert str(ended.value.code).startswith("full costs 1000.00 times as much as decoding")
    assert capsys.readouterr().out.count("\n") == 1
