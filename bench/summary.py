"""Figures of runs: medians, ranges and ratios."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.contenders import ARROW, BARS, DOCUMENTED, ENVELOPE, FLOOR, FROZEN, FULL, QUIX, SHORT, TWO
from bench.site import Run

COMPARED = (FLOOR, BARS, ENVELOPE, FULL, ARROW, DOCUMENTED, FROZEN, QUIX)  # in the order of the tables
MILLION = 1_000_000


def contenders(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """The figures of the contenders that have run, by name."""
    found = {contender.name: _of(runs, contender.name) for contender in COMPARED}
    return {name: figures(mine) for name, mine in found.items() if mine}


def figures(runs: Sequence[Run]) -> dict[str, Any]:
    """Figures of one contender: medians over its rounds; ranges are [min, max]."""
    cpu = [run.cpu_s / run.records * MILLION for run in runs]
    rates = [run.records / run.seconds for run in runs]
    return {
        "cpu_s_per_m": round(statistics.median(cpu), 3),
        "events_per_s": round(statistics.median(rates)),
        "rss_mb": round(statistics.median(run.rss_mb for run in runs)),
        "correct": all(run.correct for run in runs),
        "cpu_s_per_m_range": [round(min(cpu), 3), round(max(cpu), 3)],
        "events_per_s_range": [round(min(rates)), round(max(rates))],
        "cpu_s_per_m_with_start": round(_median(runs, lambda run: run.whole_cpu_s / run.records * MILLION), 3),
        "events": runs[0].records,
        "rounds": len(runs),
        **_worst(runs),
        **{name: getattr(runs[0], name) for name in ("features", "signals") if getattr(runs[0], name) is not None},
    }


def comparisons(runs: Sequence[Run]) -> dict[str, Any]:
    """Further figures for the targets; runs on the shorter topic include their start-up."""
    two, one = _of(runs, TWO.name), _of(runs, FULL.name)
    return {
        "two_workers": {
            **figures(two),
            "cpu_of_one": round(_cost(two) / _cost(one), 3),
            "rate_of_one": _rate(two, one),
        },
        "bars_short": figures(_of(runs, SHORT.name)),
    }


def table(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The table for a terminal."""
    lines = [f"{'':36}{'CPU-s per 1M':>13}{'x floor':>9}{'events/s':>11}{'MB':>7}  right"]
    for contender in COMPARED:
        mine = found.get(contender.name)
        if mine is None:
            continue
        ratio = mine["cpu_s_per_m"] / found[FLOOR.name]["cpu_s_per_m"]
        right = "-" if contender.job == "read" else "yes" if mine["correct"] else "no"
        lines.append(
            f"{contender.title:36}{mine['cpu_s_per_m']:13.2f}{ratio:9.2f}{mine['events_per_s']:11,}{mine['rss_mb']:7,}"
            f"  {right}"
        )
    return lines


def _worst(runs: Sequence[Run]) -> dict[str, Any]:
    verdicts = [run.verdict for run in runs if run.verdict is not None]
    if not verdicts:
        return {}
    losses = [verdict.volume_lost for verdict in verdicts]
    return {
        "missing": max(verdict.missing for verdict in verdicts),
        "wrong": max(verdict.wrong + verdict.extra for verdict in verdicts),
        "volume_lost": [round(min(losses), 5), round(max(losses), 5)],
    }


def _of(runs: Sequence[Run], name: str) -> list[Run]:
    return [run for run in runs if run.contender == name]


def _cost(runs: Sequence[Run]) -> float:
    return _median(runs, lambda run: run.cpu_s / run.records)


def _rate(runs: Sequence[Run], yardstick: Sequence[Run]) -> float:
    return round(
        _median(runs, lambda run: run.records / run.seconds)
        / _median(yardstick, lambda run: run.records / run.seconds),
        3,
    )


def _median(runs: Sequence[Run], of: Callable[[Run], float]) -> float:
    return statistics.median(of(run) for run in runs)
