from __future__ import annotations

import pytest

from bench import guard
from flows.config_file import load


def test_what_does_more_costs_more_than_decoding_alone() -> None:
    log = guard.batches(20_000)
    found = guard.ratios(load(guard.CONFIG, []), log, rounds=2)
    assert 1 < found["bars"] < found["full"]


def test_a_cost_above_its_bound_fails_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(guard, "batches", lambda count: [])
    monkeypatch.setattr(guard, "ratios", lambda *given: {"bars": 0.5, "full": 1_000.0})
    monkeypatch.setattr(guard, "load", lambda *given: None)
    monkeypatch.setattr(guard.allocator, "tune", lambda: None)
    with pytest.raises(SystemExit) as ended:
        guard.main()
    assert str(ended.value.code).startswith("full costs 1000.00 times as much as decoding")
    assert capsys.readouterr().out.count("\n") == 1
