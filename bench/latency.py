"""`python -m bench.latency`: the live latency from the event that closes a window to its results.

Each rate has its own Kafka, PostgreSQL and worker: `mdp stream run` with the windows, features, rules and recovery of
configs/streaming.yaml. A market in real time (`bench.latency_feed`) is sent to 4 partitions. The clock starts when
produce() is called for the first event of a partition that is `allow_late_ms` newer than a window's end, and stops

  signal   when a read_committed consumer has the last signal of that window and partition;
  bar      when another PostgreSQL connection can read a bar of that window and partition.

So the producer's linger is included: 5 ms, the default of librdkafka and of Kafka's own producer. Each time a request
goes to each partition, so with 2 ms the requests alone would take half a core of the two.

Before it the floor runs in the worker's place (`bench.latency_floor`): the time that Kafka, PostgreSQL and this machine
take by themselves, under the same load.

A rule in addition to those of configs/rules.yaml holds for one symbol of each partition in every window, so each close
is a sample of both. All times are those of this machine's clock.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bench import latency_breakdown, results
from bench.latency_site import PARTITIONS, Found, Job, Site

RATES: Final = (10_000, 100_000)
_QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
_LEAST_TO_KEEP: Final = 60.0  # seconds: shorter runs are for inspection, and have no 99th percentile


def quantiles(nanoseconds: Sequence[int]) -> dict[str, float]:
    """Quantiles in milliseconds, each a sample, without interpolation."""
    ordered = sorted(nanoseconds)
    return {name: round(ordered[math.ceil(share * len(ordered)) - 1] / 1e6, 2) for name, share in _QUANTILES.items()}


def section(job: Job, found: Found) -> dict[str, Any]:
    """The results of a run to keep.

    Raises:
        SystemExit: a close has no sample.
    """
    lost = [close for close in found.closes if close.signal is None or close.bar is None]
    if lost or not found.closes:
        raise SystemExit(f"FAILED: {len(lost)} of {len(found.closes)} closes without a sample, such as {lost[:1]}")
    return {
        "signal_ms": quantiles([close.signal - close.produced for close in found.closes if close.signal]),
        "bar_ms": quantiles([close.bar - close.produced for close in found.closes if close.bar]),
        "events_per_s": round(found.events_per_s),
        "signals_per_s": round(found.signals_per_s, 1),
        "seconds": job.seconds,
        "window_ms": job.window_ms,
        "linger_ms": job.linger_ms,
        "windows": len({close.end for close in found.closes}),
        "samples": len(found.closes),
        "worker_cpu_share": round(found.worker_cpu, 3),
        "feed_cpu_share": round(found.feed_cpu, 3),
        "machine_busy_share": round(found.busy, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=int, nargs="+", default=RATES, help="events per second")
    parser.add_argument("--seconds", type=float, default=180.0, help="measured, for each rate")
    parser.add_argument("--floor-seconds", type=float, default=60.0, help="measured, for the floor; 0 skips it")
    parser.add_argument("--warm-up", type=float, default=10.0, help="seconds before them")
    parser.add_argument("--window-ms", type=int, default=2_000)
    parser.add_argument("--linger-ms", type=float, default=5.0, help="how long the producer gathers events")
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="settings of the worker")
    parser.add_argument("--steps", action="store_true", help="print a breakdown of the time; results are not kept")
    asked = parser.parse_args()
    kept = {}
    for rate in asked.rates:
        measured = {name: _measured(job) for name, job in _jobs(rate, asked).items()}
        kept[str(rate)] = measured.pop("mdp") | measured
    if asked.seconds >= _LEAST_TO_KEEP and not asked.steps:
        results.keep("latency", {**results.load().get("latency", {}), **kept})


def _jobs(rate: int, asked: argparse.Namespace) -> dict[str, Job]:
    symbols = tuple(f"S{number:03d}" for number in range(asked.symbols))
    job = Job(
        rate, asked.seconds, asked.warm_up, asked.window_ms, asked.linger_ms, symbols, tuple(asked.set), asked.steps
    )
    floor = replace(job, seconds=asked.floor_seconds, steps=False, floor=True)
    return ({"floor": floor} if asked.floor_seconds else {}) | {"mdp": job}


def _measured(job: Job) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="mdp-latency-") as folder:
        site = Site(Path(folder), job)
        try:
            found = site.measure()
        finally:
            site.stack.remove()
        kept = section(job, found)
        _show(job, kept)
        if job.steps:
            latency_breakdown.show(found.closes, found.trace)
    return kept


def _show(job: Job, found: dict[str, Any]) -> None:
    print(
        f"\n{'The floor' if job.floor else 'mdp'}: {job.rate:,} events/s requested, {found['events_per_s']:,} sent, "
        f"{found['signals_per_s']:.0f} signals/s; "
        f"{found['windows']} windows of {found['window_ms']} ms on {PARTITIONS} partitions: {found['samples']} closes\n"
        f"worker {found['worker_cpu_share']:.0%} of a core, the load itself {found['feed_cpu_share']:.0%}; "
        f"all processes of the machine {found['machine_busy_share']:.0%} of its cores"
    )
    print(f"{'ms':10}" + "".join(f"{name:>9}" for name in _QUANTILES))
    for what in ("signal", "bar"):
        print(f"{what:10}" + "".join(f"{value:9.1f}" for value in found[f"{what}_ms"].values()), flush=True)


if __name__ == "__main__":
    main()
