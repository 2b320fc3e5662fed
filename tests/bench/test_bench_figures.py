from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from bench import meter, reference, report, results, summary, topic, verdict
from bench.site import Run

EXACT = reference.Verdict(bars=10, missing=0, extra=0, wrong=0, volume_lost=0.0)
LOSSY = reference.Verdict(bars=9, missing=1, extra=0, wrong=2, volume_lost=0.03)
QUANTILES = {"p50": 9.0, "p90": 20.0, "p99": 60.0, "max": 80.0}


def run(contender: str, cpu_s: float, judged: reference.Verdict | None = EXACT) -> Run:
    return Run(contender, 1_000_000, cpu_s, cpu_s / 2, cpu_s + 1, 200.0, judged, features=10, signals=3)


def rounds() -> list[Run]:
    floor = [run("floor", cpu, None) for cpu in (1.7, 1.6, 1.5)]
    ours = [run(name, 3.0) for name in ("bars", "full", "arrow", "two_workers", "bars_short", "bytewax_frozen")]
    return [*floor, *ours, run("bytewax", 30.0, LOSSY), run("bytewax", 20.0)]


def everything() -> dict[str, object]:
    """As a whole benchmark leaves it."""
    at = {"signal_ms": QUANTILES, "bar_ms": QUANTILES, "events_per_s": 10_000, "seconds": 180, "windows": 90}
    small = {"value": 100, "us_per_event": 2.0, "close_ms": 1.0, "snapshot_mb": 0.1, "snapshot_ms": 1.0, "rss_mb": 200}
    large = {**small, "value": 1_000, "close_ms": 15.0}
    return {
        "contenders": summary.contenders(rounds()),
        "comparisons": summary.comparisons(rounds()),
        "job": {"events": 1_000_000, "peers_events": 1_000_000, "rounds": 3, "quick": True},
        "latency": {"10000": {**at, "floor": at}},
        "growth": {
            "symbols": [small, large],
            "partitions": [{"value": 1, "rss_mb": 200}, {"value": 64, "rss_mb": 900}],
        },
        "sink": {
            "plain_copy_rows_per_s": 200_000,
            "merge_rows_per_s": 120_000,
            "ratio": 0.6,
            "ahead_rows_per_s": 180_000,
            "replay_rows_per_s": 150_000,
            "client_us_per_row": 1.3,
            "flush_500_ms": 6.0,
        },
        "persist": {
            "rows": 1_000_000,
            "rows_per_s": 160_000,
            "plain_copy_rows_per_s": 200_000,
            "ratio": 0.8,
            "cpu_us_per_row": 5.0,
            "rounds": 3,
        },
        "start": {"help_s": 0.3, "first_batch_s": 2.0},
        "inference": {"rules_1000_ms": 0.5, "logistic_1000_ms": 1.0, "forest_ms": {"1000": 30.0}},
        "normalize": {"trades_per_s": 260_000, "quotes_per_s": 270_000},
        "machine": {"cpu": "a processor", "cores": 2, "memory_gb": 8, "system": "a system"},
        "versions": {"python": "3.11"},
        "measured": {"contenders": "2026-01-02T03:04:05+00:00"},
    }


def test_a_section_takes_the_place_of_its_last_edition_and_leaves_the_others(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    results.keep("start", {"help_s": 1}, file=file)
    results.keep("sink", {"ratio": 2}, file=file)
    results.keep("start", {"help_s": 3}, file=file)
    kept = json.loads(file.read_text())
    assert (kept["start"], kept["sink"]) == ({"help_s": 3}, {"ratio": 2})
    assert set(kept["measured"]) == {"start", "sink"}
    assert kept["machine"]["cores"] >= 1
    assert datetime.fromisoformat(kept["date"]).tzinfo == UTC
    assert list(tmp_path.iterdir()) == [file]


def test_the_processes_of_a_cluster_are_added_up() -> None:
    stdout = 'something else\n{"cpu_s": 2.0, "seconds": 3.0}\n{"cpu_s": 1.5, "seconds": 4.0}\n'
    assert meter.spent(stdout) == meter.Spent(3.5, 4.0)
    with pytest.raises(ValueError, match="without its report"):
        meter.spent("")


def test_figures_are_medians_with_their_range() -> None:
    found = summary.contenders(rounds())
    assert list(found) == ["floor", "bars", "full", "arrow", "bytewax", "bytewax_frozen"]
    floor = found["floor"]
    assert (floor["cpu_s_per_m"], floor["cpu_s_per_m_range"], floor["rounds"]) == (1.6, [1.5, 1.7], 3)
    assert (floor["events_per_s"], floor["rss_mb"], floor["correct"]) == (1_250_000, 200, True)


def test_a_contender_is_right_only_if_all_its_rounds_were() -> None:
    bytewax = summary.contenders(rounds())["bytewax"]
    assert not bytewax["correct"]
    assert (bytewax["missing"], bytewax["wrong"], bytewax["volume_lost"]) == (1, 2, [0.0, 0.03])


def test_the_reference_has_each_event_once_and_in_the_order_of_time() -> None:
    second = 1_000_000_000
    rows = [("A", 3, 1, 11.0), ("A", 2, 0, 10.0), ("A", 3, 1, 11.0), ("A", 5, 2, 9.0), ("B", 4, 0, 1.0)]
    events = pl.DataFrame(
        [(symbol, at * second, seq, price, 2.0, f"{symbol}{seq}") for symbol, at, seq, price in rows],
        ["symbol", "src_ts", "seq", "c", "v", "event_id"],
        orient="row",
    )
    bars = reference.bars(events).sort("symbol", "window_start")
    assert bars["window_start"].dt.second().to_list() == [2, 4, 4]
    assert bars.row(0)[2:] == (10.0, 11.0, 10.0, 11.0, 4.0, 10.5, 2, True)
    assert bars["closed"].to_list() == [True, False, False]
    assert reference.compare(bars, bars).exact
    altered = bars.head(2).with_columns(close=pl.lit(0.0))
    assert reference.compare(bars, altered) == reference.Verdict(2, missing=1, extra=0, wrong=2, volume_lost=0.25)


def test_a_market_is_the_same_each_time_it_is_written() -> None:
    first, again = (pl.concat(list(topic.market(2_000, start))) for start in (10**18, 10**18))
    assert first.equals(again)
    assert first["event_id"].n_unique() == 2_000
    assert first["o"].equals(first["c"].alias("o"))


def test_what_falls_short_is_said() -> None:
    found = everything()
    missed = {target.what for target in verdict.targets(found) if not target.holds}
    assert {"Bars job, CPU relative to the floor", "Growth with symbols, relative to linear growth"} <= missed
    assert not {"`mdp --help`", "Resident memory with 64 partitions", "Latency at 10,000 events/s, bar, p50"} & missed
    assert "- Target missed: Bars job, CPU relative to the floor: 1.88, target ≤ 1.5." in report.page(found)


def test_the_page_has_what_was_measured_and_nothing_else() -> None:
    whole = everything()
    headings = [line for line in report.page(whole).splitlines() if line.startswith("## ")]
    parts = (
        "Targets",
        "The job",
        "CPU",
        "Rate and memory",
        "Latency",
        "Growth",
        "Sink",
        "Messages",
        "Start",
        "Inference",
        "Normalizing",
    )
    assert headings == [f"## {part}" for part in parts]
    without = report.page({name: part for name, part in whole.items() if name not in ("latency", "growth")})
    assert "## Latency" not in without
    assert "bench-growth.svg" not in without
