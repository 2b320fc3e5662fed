"""The breakdown of the time between an event and its results, as printed by `python -m bench.latency --steps`."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol

# The notes at the start and the end of each part (see bench.latency_steps), and a description of the part.
PARTS: Final = (
    ("produced", "appended", "produce() to the broker's log (its clock shows milliseconds)"),
    ("appended", "read", "log to the worker asking: fetch, queue, pause between polls"),
    ("read", "read.done", "consume and decode"),
    ("read.done", "windows", "on to windows"),
    ("windows", "windows.done", "windows"),
    ("windows.done", "rolling", "on to rolling"),
    ("rolling", "rolling.done", "rolling features"),
    ("rolling.done", "inference", "on to inference"),
    ("inference", "inference.done", "inference"),
    ("inference.done", "kafka", "signals: to the writing thread"),
    ("kafka", "commit", "signals: encode and produce"),
    ("commit", "committed", "signals: commit_transaction"),
    ("committed", "signal", "signals: committed to consumed"),
    ("inference.done", "timescale", "bars: to the writing thread"),
    ("timescale", "timescale.done", "bars: rows, COPY, merge, commit"),
    ("timescale.done", "bar", "bars: committed to seen"),
    ("produced", "signal", "signal, in all"),
    ("produced", "bar", "bar, in all"),
)


class Close(Protocol):
    """As `bench.latency_site.Close`."""

    @property
    def partition(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def produced(self) -> int: ...
    @property
    def signal(self) -> int | None: ...
    @property
    def bar(self) -> int | None: ...


def show(closes: Iterable[Close], trace: Path) -> None:
    """Prints the quantiles of each part, in milliseconds."""
    noted: dict[tuple[int, int], dict[str, int]] = {}
    for step, partition, end, at in json.loads(trace.read_text()):
        noted.setdefault((partition, end), {})[step] = at
    ways = [{**noted.get((close.partition, close.end), {}), **_known(close)} for close in closes]
    print(f"\n{'ms':62}{'p50':>8}{'p90':>8}{'max':>8}{'n':>6}")
    for start, stop, title in PARTS:
        took = sorted((way[stop] - way[start]) / 1e6 for way in ways if start in way and stop in way)
        if took:
            p50, p90 = statistics.median(took), took[int(0.9 * (len(took) - 1))]
            print(f"{title:62}{p50:8.2f}{p90:8.2f}{took[-1]:8.2f}{len(took):6}", flush=True)


def _known(close: Close) -> dict[str, int]:
    times = {"produced": close.produced, "signal": close.signal, "bar": close.bar}
    return {name: at for name, at in times.items() if at is not None}
