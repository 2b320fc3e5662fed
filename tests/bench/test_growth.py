from __future__ import annotations

import time

from bench.growth_case import Case, measure


def test_a_case_has_all_costs() -> None:
    found = measure(Case(symbols=3, horizon=5, features=9, events=50))
    assert list(found) == ["us_per_event", "close_ms", "snapshot_mb", "snapshot_ms", "rss_mb"]
    assert min(found.values()) > 0


def test_more_symbols_make_a_larger_snapshot() -> None:
    few, many = (measure(Case(symbols=symbols, horizon=5, events=400)) for symbols in (10, 400))
    assert many["snapshot_mb"] > few["snapshot_mb"]


def test_the_events_of_a_window_do_not_cost_more_than_the_whole_measurement() -> None:
    events, began = 4_000, time.process_time()
    found = measure(Case(symbols=10, horizon=5, events=events))
    assert found["us_per_event"] * events / 1e6 < time.process_time() - began
