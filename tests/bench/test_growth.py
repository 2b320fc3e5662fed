from __future__ import annotations

from bench.growth_case import Case, measure


def test_a_case_has_all_costs() -> None:
    found = measure(Case(symbols=3, horizon=5, features=9, events=50))
    assert list(found) == ["us_per_event", "close_ms", "snapshot_mb", "snapshot_ms", "rss_mb"]
    assert min(found.values()) > 0


def test_more_symbols_make_a_larger_snapshot() -> None:
    few, many = (measure(Case(symbols=symbols, horizon=5, events=400)) for symbols in (10, 400))
    assert many["snapshot_mb"] > few["snapshot_mb"]
