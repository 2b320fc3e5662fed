"""`python -m bench.recovery`: the time that a cluster takes to catch up after one of its processes is killed.

Pipeline and load are those of `chaos`, and so is the measure: seconds from the kill until everything is written that
the log held two seconds earlier. The processes are killed in turn, each a while after the flow has caught up.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from bench import results
from chaos.market_case import MARKET
from chaos.pipeline import Pipeline
from chaos.watch import Watch
from mdp.local import ports

MOST_SECONDS: Final = 6.0  # for four processes, on two cores shared with everything else
_LOAD_SECONDS: Final = 3_600.0  # it is stopped earlier
_STEADY_SECONDS: Final = 6.0  # longer than the time between two snapshots
_START_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.05


def catch_ups(workers: int, kills: int, rate: float) -> list[float]:
    """Seconds to catch up after each kill."""
    folder = Path(tempfile.mkdtemp(prefix="mdp-recovery-"))
    pipeline = Pipeline(folder, workers, MARKET)
    watch = None
    try:
        pipeline.set_up()
        watch = Watch(pipeline)
        pipeline.start()
        pipeline.start_load(rate, _LOAD_SECONDS, seed=1)
        ports.wait_until(lambda: sum(watch.written.values()) > 0, _START_SECONDS)
        _catch_up(pipeline, watch)
        return [_kill(pipeline, watch, number % workers) for number in range(kills)]
    finally:
        if watch is not None:
            watch.stop()
        pipeline.tear_down()
        shutil.rmtree(folder, ignore_errors=True)


def _kill(pipeline: Pipeline, watch: Watch, victim: int) -> float:
    time.sleep(_STEADY_SECONDS)
    os.kill(pipeline.worker_pids()[victim], signal.SIGKILL)
    return _catch_up(pipeline, watch)


def _catch_up(pipeline: Pipeline, watch: Watch) -> float:
    began = time.monotonic()
    while not watch.has_caught_up_since(began):
        pipeline.keep_going()
        time.sleep(_LOOK_SECONDS)
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--rate", type=float, default=20_000.0, help="events per second")
    asked = parser.parse_args()
    found = {}
    for workers in asked.workers:
        seconds = catch_ups(workers, asked.kills, asked.rate)
        found[str(workers)] = {"median_s": round(statistics.median(seconds), 1), "most_s": round(max(seconds), 1)}
        figures = " ".join(f"{one:.1f}" for one in seconds)
        print(f"{workers} workers: caught up after {figures} s", flush=True)
    results.keep("recovery", found)


if __name__ == "__main__":
    main()
