"""`make bench-guard`: fails if the cost of an event has grown, relative to the cost of decoding it alone.

CPU time of our steps over that of decoding the same payloads with msgspec, alternating in one process, the best of
each: a ratio holds on busy or slower machines, where seconds do not. The records are those of one partition of the
benchmark's market.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl

from bench import topic
from bench.floor import Event
from bench.partition import BATCH, Partition, fetches
from codec.encode import encode
from contracts.record import Fetch
from flows.config_file import load
from flows.settings import Settings
from native import memory_tuning
from transports.kafka.partitioner import Partitioner

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "streaming.yaml"
PARTITIONS = 4
EVENTS = 1_000_000  # of the market, on all partitions
ROUNDS = 9
# A quarter above the measurement at the last intended change.
BOUNDS = {"bars": 1.5, "full": 1.9}


@dataclass(frozen=True, slots=True)
class Batch:
    """Some records, as values and as fetches."""

    values: Sequence[bytes]
    fetched: Sequence[Fetch]


Step = Callable[[Batch], object]


def main() -> None:
    memory_tuning.tune()  # as a worker does
    found = ratios(load(CONFIG, []), batches(EVENTS), ROUNDS)
    print(", ".join(f"{name} {ratio:.2f} of at most {BOUNDS[name]:.2f}" for name, ratio in found.items()))
    for name, ratio in found.items():
        if ratio > BOUNDS[name]:
            sys.exit(
                f"{name} costs {ratio:.2f} times as much as decoding: the bound in bench/guard.py is {BOUNDS[name]}"
            )


def ratios(settings: Settings, log: Sequence[Batch], rounds: int) -> dict[str, float]:
    """CPU of bars, and of everything up to signals, over that of decoding; the best of `rounds` each."""
    contenders: dict[str, Callable[[], Step]] = {
        "floor": lambda: _decode,
        "bars": lambda: _step(Partition(settings).bars),
        "full": lambda: _step(Partition(settings).signals),
    }
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(rounds):
        for name, make in contenders.items():
            best[name] = min(best[name], _cpu_seconds(make(), log))
    return {name: best[name] / best["floor"] for name in BOUNDS}


def _cpu_seconds(step: Step, log: Sequence[Batch]) -> float:
    begin = time.process_time()
    for batch in log:
        step(batch)
    return time.process_time() - begin


def _step(step: Callable[[Sequence[Fetch]], object]) -> Step:
    return lambda batch: step(batch.fetched)


def _decode(batch: Batch) -> list[Event]:
    return list(map(msgspec.json.Decoder(Event).decode, batch.values))


def batches(count: int) -> list[Batch]:
    """Records of one partition, as fetched by a lagging worker."""
    partitioner = Partitioner(PARTITIONS)
    market = topic.market(count, topic.begin(count))
    mine = [chunk.filter(partitioner.assign(chunk["symbol"]) == 0) for chunk in market]
    events = pl.concat(mine)
    times = (events["arrival"] // 1_000_000).to_list()
    values = encode(events, "json")
    spans = [slice(first, first + BATCH) for first in range(0, len(values), BATCH)]
    return [Batch(values[span], fetches(values[span], span.start, times[span])) for span in spans]


if __name__ == "__main__":
    main()
