"""The target of each figure, and whether it is met."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Section = Mapping[str, Any]

LINEAR = 1.2  # times linear growth still counts as linear
GROWING = ("us_per_event", "close_ms", "snapshot_mb", "snapshot_ms", "rss_mb")


@dataclass(frozen=True)
class Target:
    """One line of the table of targets."""

    what: str
    asked: str
    found: str
    holds: bool


def targets(results: Section) -> list[Target]:
    """The targets for which there are results."""
    parts = {
        "contenders": _contenders,
        "comparisons": lambda found: _comparisons(found, results["contenders"]),
        "latency": _latency,
        "growth": _growth,
        "sink": _sink,
        "persist": _persist,
        "start": _start,
        "inference": _inference,
        "normalize": _normalize,
    }
    return [target for name, judged in parts.items() if name in results for target in judged(results[name])]


def at_most(what: str, found: float, limit: float, unit: str = "") -> Target:
    return Target(what, f"≤ {limit:g}{unit}", f"{found:.3g}{unit}", found <= limit)


def at_least(what: str, found: float, limit: float, unit: str = "") -> Target:
    return Target(what, f"≥ {limit:g}{unit}", f"{found:.3g}{unit}", found >= limit)


def _contenders(found: Section) -> Iterator[Target]:
    floor = found["floor"]["cpu_s_per_m"]
    yield at_most("Bars job, CPU relative to the floor", found["bars"]["cpu_s_per_m"] / floor, 1.5)
    if "envelope" in found:
        ratio = found["envelope"]["cpu_s_per_m"] / found["bars"]["cpu_s_per_m"]
        yield at_most("Bars job, trades in envelopes, CPU relative to Event v1", ratio, 1.3)
    yield at_most("Full job, CPU relative to the floor", found["full"]["cpu_s_per_m"] / floor, 2.0)
    arrow = found["arrow"]
    yield at_most("Arrow records, full job, CPU per 1M events", arrow["cpu_s_per_m"], 0.5, " s")
    yield at_least("Arrow records, full job, events a second", arrow["events_per_s"] / 1e6, 2.0, "M")


def _comparisons(found: Section, contenders: Section) -> Iterator[Target]:
    yield at_most("Two workers, CPU per event relative to one worker", found["two_workers"]["cpu_of_one"], 1.08)
    ours, theirs = found["bars_short"], contenders["bytewax"]
    with_start = ours["cpu_s_per_m_with_start"] / theirs["cpu_s_per_m_with_start"]
    yield at_most("Bars job, CPU relative to Bytewax as documented, start-up included", with_start, 0.167)


def _latency(found: Section) -> Iterator[Target]:
    for rate, quantiles in {"10000": ("p50", "p99"), "100000": ("p99",)}.items():
        if rate not in found or "floor" not in found[rate]:
            continue
        at = f"Latency at {int(rate):,} events/s"
        yield at_least(f"{at}, share sent", found[rate]["events_per_s"] / int(rate), 0.97)
        for what, name in (("signal", "signal_ms"), ("bar", "bar_ms")):
            for quantile in quantiles:
                ratio = found[rate][name][quantile] / found[rate]["floor"][name][quantile]
                yield at_most(f"{at}, {what}, {quantile} relative to the floor", ratio, 2.0)


def _growth(found: Mapping[str, Sequence[Section]]) -> Iterator[Target]:
    for axis, points in found.items():
        factor = beyond_linear(points)
        yield at_most(f"Growth with {axis}, relative to linear growth", factor, LINEAR)
    if "partitions" in found:
        most = found["partitions"][-1]
        yield at_most(f"Resident memory with {most['value']} partitions", most["rss_mb"], 1024, " MB")


def beyond_linear(points: Sequence[Section]) -> float:
    """The growth of the worst cost from the first point to the last, relative to the growth of the axis."""
    first, last = points[0], points[-1]
    grown = last["value"] / first["value"]
    return max(float(last[name] / first[name] / grown) for name in measured(GROWING, (first, last)))


def measured(names: Iterable[str], points: Sequence[Section]) -> list[str]:
    """The costs that all points have, above zero."""
    return [name for name in names if all(point.get(name) for point in points)]


def _sink(found: Section) -> Iterator[Target]:
    yield at_least("COPY and merge relative to a plain COPY, rows a second", found["ratio"], 0.5)
    again = found["replay_rows_per_s"] / found["merge_rows_per_s"]
    yield at_least("A replay relative to the first write, rows a second", again, 1.0)


def _persist(found: Section) -> Iterator[Target]:
    yield at_least("Messages to their tables, rows a second", found["rows_per_s"] / 1e3, 150, "k")
    yield at_least("Messages to their tables relative to a plain COPY, rows a second", found["ratio"], 0.7)


def _start(found: Section) -> Iterator[Target]:
    yield at_most("`mdp --help`", found["help_s"], 0.4, " s")
    yield at_most("Worker with rules, from its start to its first batch", found["first_batch_s"], 2.5, " s")


def _inference(found: Section) -> Iterator[Target]:
    yield at_most("Rules over 1,000 symbols, per window close", found["rules_1000_ms"], 1, " ms")
    yield at_most("Scaler and logistic regression over 1,000 symbols", found["logistic_1000_ms"], 2, " ms")


def _normalize(found: Section) -> Iterator[Target]:
    for name in ("trades", "quotes"):
        yield at_least(f"Raw {name} to envelopes, a second and core", found[f"{name}_per_s"] / 1e3, 250, "k")
