"""CPU seconds per million events: our worker beside idiomatic Bytewax, on the same topic, one after the other.

The job: read JSON events of about 300 bytes of 500 symbols from 4 partitions, drop duplicates, and write bars of 2 s to
PostgreSQL. CPU is user and system time of a contender's process from its start to its end, its imports, threads and
children included; each round runs every contender once, so that a busy machine slows all of them.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

from bench import topic
from bench.contenders import Run, Site, contenders
from mdp.local import LocalStack

RESULTS = Path(__file__).parent / "results"
MILLION = 1_000_000
SHARE = 1 / 6  # of idiomatic Bytewax's CPU, at most
RESIDENT_MB = 600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=MILLION, help="events, without their duplicates")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="100,000 events, one round; says nothing about the bounds")
    asked = parser.parse_args()
    count, rounds = (MILLION // 10, 1) if asked.quick else (asked.count, asked.rounds)
    # Frames live in a process of their own: a child's peak of memory begins with that of the process that forked it.
    with (
        tempfile.TemporaryDirectory(prefix="mdp-bench-") as folder,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as laboratory,
    ):
        stack = LocalStack(Path(folder) / "stack")
        try:
            stack.up(_say)
            runs = _measure(Site(stack, Path(folder), laboratory), count, rounds)
        finally:
            stack.remove()
    _keep(runs, count)
    failures = _report(runs) if count >= MILLION else _report(runs, bounds=False)
    for failure in failures:
        print(f"FAILED: {failure}")
    sys.exit(1 if failures else 0)


def _measure(site: Site, count: int, rounds: int) -> list[Run]:
    _say(f"writing {count:,} events")
    records = site.prepare(count)
    _say(f"{records:,} records")
    runs = []
    for number in range(1, rounds + 1):
        for contender in contenders():
            run = site.run(contender, number, records)
            _say(f"round {number} of {rounds}: {contender.name}: {run.cpu_seconds:.2f} CPU-s, {run.seconds:.1f} s")
            runs.append(run)
    return runs


def _report(runs: list[Run], *, bounds: bool = True) -> list[str]:
    """Prints the table, and says which bounds do not hold."""
    print(f"\n{'':32}{'CPU-s per':>10}{'':>14}{'events':>10}{'peak':>8}{'bars':>9}{'bars':>8}{'volume':>9}")
    print(f"{'':32}{'1M events':>10}{'(range)':>14}{'per s':>10}{'MB':>8}{'missing':>9}{'wrong':>8}{'lost':>9}")
    for contender in contenders():
        mine = [run for run in runs if run.contender == contender.name]
        cpu = [run.cpu_per_million for run in mine]
        spread = f"{min(cpu):.2f}-{max(cpu):.2f}"
        rate = statistics.median(run.records / run.seconds for run in mine)
        peak = max(run.peak_mb for run in mine)
        print(f"{contender.title:32}{statistics.median(cpu):10.2f}{spread:>14}{rate:10,.0f}{peak:8.0f}", end="")
        worst = max(mine, key=lambda run: run.verdict.volume_lost if run.verdict else 0.0).verdict
        print(f"{worst.missing:9,}{worst.wrong + worst.extra:8,}{worst.volume_lost:9.2%}" if worst else "")
    return _broken(runs, bounds=bounds)


def _broken(runs: list[Run], *, bounds: bool) -> list[str]:
    ours = [run for run in runs if run.contender == "mdp"]
    print()
    for contender in contenders():
        if contender.name != "mdp":
            print(f"mdp needs {_share(runs, contender.name):.2f} times the CPU of: {contender.title}")
    failures = [] if all(run.verdict and run.verdict.exact for run in ours) else ["our bars differ from the reference"]
    if bounds and _share(runs, "bytewax") > SHARE:
        failures.append("our CPU is above 1/6 of idiomatic Bytewax's")
    if bounds and max(run.peak_mb for run in ours) >= RESIDENT_MB:
        failures.append(f"our resident memory is not below {RESIDENT_MB} MB")
    return failures


def _share(runs: list[Run], other: str) -> float:
    """Our CPU time as a multiple of another's, by the medians."""
    ours, theirs = (
        statistics.median(run.cpu_per_million for run in runs if run.contender == name) for name in ("mdp", other)
    )
    return ours / theirs


def _keep(runs: list[Run], count: int) -> None:
    RESULTS.mkdir(exist_ok=True)
    packages = ("bytewax", "confluent-kafka", "msgspec", "polars", "numpy", "psycopg")
    found = {
        "machine": {"system": platform.platform(), "python": platform.python_version()},
        "packages": {package: version(package) for package in packages},
        "topic": {"events": count, "symbols": topic.SYMBOLS, "ticks_per_second": topic.TICKS_PER_SECOND},
        "runs": [asdict(run) for run in runs],
    }
    file = RESULTS / f"first-bound-{time.strftime('%Y%m%d-%H%M%S')}.json"
    file.write_text(json.dumps(found, indent=2), encoding="utf-8")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
