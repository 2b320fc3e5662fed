"""CPU seconds per million events: our worker, the floor, Bytewax and Quix Streams, in interleaved rounds.

The job: read JSON events of about 290 bytes of 500 symbols from 4 partitions, drop duplicates, and write bars of 2 s to
PostgreSQL; the full job adds eight rolling features and five rules with their signals. Results are written to
bench/results.json, and from there to docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from bench import report, results, summary, topic
from bench.contenders import (
    ARROW,
    BARS,
    DOCUMENTED,
    ENVELOPE,
    FLOOR,
    FROZEN,
    FULL,
    PEERS,
    QUIX,
    SHORT,
    TWO,
    Contender,
)
from bench.site import PROJECT, Run, Site
from mdp.local import LocalStack

MILLION = 1_000_000
OTHER_PARTS = ("bench.sink", "bench.persist", "bench.start", "bench.inference", "bench.normalize")


@dataclass(frozen=True)
class Plan:
    """The number of events, and the contenders of each round.

    Attributes:
        short: events of the topic for the peers, which are slower.
    """

    events: int
    short: int
    rounds: int
    peer_rounds: int
    quix: bool

    def contenders(self, number: int) -> Iterator[Contender]:
        """The contenders in a round, counted from 0."""
        yield from (FLOOR, BARS, ENVELOPE, FULL, TWO, ARROW)  # runs to be compared are adjacent
        if number < self.peer_rounds:
            yield from (SHORT, DOCUMENTED, FROZEN)
        if self.quix and number == 0:
            yield QUIX


QUICK = Plan(events=MILLION // 2, short=MILLION // 4, rounds=1, peer_rounds=1, quix=False)
WHOLE = Plan(events=5 * MILLION, short=MILLION, rounds=5, peer_rounds=2, quix=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="fewer events, one round, no Quix Streams: for a quick check"
    )
    parser.add_argument("--count", type=int, help="events, without their duplicates")
    parser.add_argument("--rounds", type=int)
    asked = parser.parse_args()
    plan = QUICK if asked.quick else WHOLE
    events, rounds = asked.count or plan.events, asked.rounds or plan.rounds
    plan = Plan(events, min(plan.short, events), rounds, min(plan.peer_rounds, rounds), plan.quix)
    if plan.quix and not PEERS.exists():
        raise SystemExit("bench/.venv is missing: `make bench` creates it, and runs this")
    runs = list(_measured(plan))
    results.keep("contenders", summary.contenders(runs))
    results.keep("comparisons", summary.comparisons(runs))
    quick = plan.events < WHOLE.events or plan.rounds < WHOLE.rounds
    results.keep("job", {"events": plan.events, "peers_events": plan.short, "rounds": rounds, "quick": quick})
    if not asked.quick:
        _other_parts()
    for line in summary.table(results.load()["contenders"]):
        print(line)
    report.main()
    wrong = [run.contender for run in runs if not run.correct and run.contender != "bytewax"]
    if wrong:
        raise SystemExit(f"bars differ from the reference, or lack their features: {', '.join(sorted(set(wrong)))}")


def _measured(plan: Plan) -> Iterator[Run]:
    with (
        tempfile.TemporaryDirectory(prefix="mdp-bench-", ignore_cleanup_errors=True) as folder,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as laboratory,
    ):
        stack = LocalStack(Path(folder) / "stack")
        try:
            stack.up(_say)
            site = Site(stack, Path(folder), laboratory)
            _prepare(site, plan)
            for number in range(plan.rounds):
                yield from _round(site, plan, number)
        finally:
            stack.remove()


def _prepare(site: Site, plan: Plan) -> None:
    _say(f"writing {plan.events:,} events as JSON, in envelopes and as Arrow, and {plan.short:,} for the peers")
    start = topic.begin(plan.events)
    site.prepare("json", plan.events, start)
    site.prepare("arrow", plan.events, start, "arrow")
    site.prepare("envelope", plan.events, start, "envelope")
    site.prepare("short", plan.short, start)


def _round(site: Site, plan: Plan, number: int) -> Iterator[Run]:
    for contender in plan.contenders(number):
        run = site.run(contender)
        cost = run.cpu_s / run.records * MILLION
        _say(f"round {number + 1} of {plan.rounds}: {contender.title}: {cost:.2f} CPU-s per 1M, {run.seconds:.1f} s")
        yield run


def _other_parts() -> None:
    """Runs each part in its own process, as when run alone."""
    for module in OTHER_PARTS:
        _say(f"running {module}")
        subprocess.run([sys.executable, "-m", module], cwd=PROJECT, check=True)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
