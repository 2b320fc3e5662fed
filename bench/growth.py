"""The growth of costs along one axis: symbols, slots of the horizon, seconds of the window, features, partitions.

One axis at a time is changed from a base case. CPU per event covers decoding and windows, in fetches of a worker's
size that do not span the end of a window; CPU per closed window covers closing, rolling features and rules. Each case
runs in its own process, in memory; partitions, which concern a worker and its Kafka clients, run on a real stack.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.growth_case import CONFIG
from bench.results import keep, load
from mdp.cost.run import Options, run
from mdp.local import LocalStack

CASES: dict[str, list[tuple[int, dict[str, int]]]] = {
    "symbols": [(value, {"symbols": value}) for value in (100, 500, 2_000, 10_000, 50_000)],
    "horizon": [(value, {"horizon": value}) for value in (30, 120, 600, 1_800, 3_600)],
    # a market of 1,000 events a second, so that the window grows
    "window_s": [(value, {"window_s": value, "events": 0}) for value in (1, 10, 60, 600, 3_600)],
    "features": [(value, {"features": value}) for value in (1, 4, 8, 16, 32)],
}
PARTITIONS = (1, 4, 16, 64)
EVENTS = 1_500_000  # on all partitions together: more than the clients' queues hold
COLUMNS = ("us_per_event", "close_ms", "snapshot_mb", "snapshot_ms", "rss_mb")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    axes = (*CASES, "partitions")
    parser.add_argument("--axes", nargs="+", choices=axes, default=axes, help="only these; others keep their results")
    asked = parser.parse_args()
    print(f"{'':22}" + "".join(f"{name:>14}" for name in COLUMNS))
    found = {axis: _partitions() if axis == "partitions" else _axis(axis) for axis in asked.axes}
    keep("growth", load().get("growth", {}) | found)


def _axis(axis: str) -> list[dict[str, float]]:
    return [_shown(axis, {"value": value, **_case(case)}) for value, case in CASES[axis]]


def _case(case: dict[str, int]) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.growth_case", json.dumps(case)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _partitions() -> list[dict[str, float]]:
    with tempfile.TemporaryDirectory(prefix="mdp-growth-") as folder:
        stack = LocalStack(Path(folder) / "mdp")
        os.environ["MDP_HOME"] = str(stack.root)
        try:
            stack.up()
            return [_shown("partitions", {"value": value, **_worker(value)}) for value in PARTITIONS]
        finally:
            stack.remove()


def _worker(partitions: int) -> dict[str, Any]:
    options = Options(count=EVENTS, rate=100_000, symbols=1_000, partitions=partitions, encoding="json", seconds=0)
    used = run(CONFIG, [], options, lambda _: None).log
    return {"us_per_event": used.cpu_per_million, "rss_mb": used.peak_mb}


def _shown(axis: str, point: dict[str, Any]) -> dict[str, Any]:
    cells = "".join(f"{point[name]:14,.3f}" if name in point else f"{'-':>14}" for name in COLUMNS)
    print(f"{axis:>12}{point['value']:>10,}{cells}", flush=True)
    return point


if __name__ == "__main__":
    main()
