"""`make bench-guard`: fails when an event costs more than it did, measured in what it costs to decode it alone.

CPU time of our steps over that of decoding the same payloads with msgspec, by turns in one process, the best of each:
a ratio holds on machines that are busy, or slower, where seconds do not. The records are those of one partition of
the benchmark's market.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import polars as pl
from confluent_kafka import Message

from bench import topic
from bench.floor import Event
from bench.partition import BATCH, Partition, messages
from contracts.encode import encode
from flows.config_file import load
from flows.settings import Settings
from mdp import allocator
from sources.partitioner import Partitioner

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "streaming.yaml"
PARTITIONS = 4
EVENTS = 1_000_000  # of the market, on all partitions
ROUNDS = 9
# A quarter above what was measured when a change last meant to alter it.
BOUNDS = {"bars": 2.75, "full": 3.15}

Step = Callable[[Sequence[Message]], object]


def main() -> None:
    allocator.tune()  # as a worker does
    found = ratios(load(CONFIG, []), batches(EVENTS), ROUNDS)
    print(", ".join(f"{name} {ratio:.2f} of at most {BOUNDS[name]:.2f}" for name, ratio in found.items()))
    for name, ratio in found.items():
        if ratio > BOUNDS[name]:
            sys.exit(
                f"{name} costs {ratio:.2f} times as much as decoding: the bound in bench/guard.py is {BOUNDS[name]}"
            )


def ratios(settings: Settings, log: Sequence[Sequence[Message]], rounds: int) -> dict[str, float]:
    """CPU of bars, and of everything up to signals, over that of decoding; the best of so many rounds each."""
    contenders: dict[str, Callable[[], Step]] = {
        "floor": lambda: _decode,
        "bars": lambda: Partition(settings).bars,
        "full": lambda: Partition(settings).signals,
    }
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(rounds):
        for name, make in contenders.items():
            best[name] = min(best[name], _cpu_seconds(make(), log))
    return {name: best[name] / best["floor"] for name in BOUNDS}


def _cpu_seconds(step: Step, log: Sequence[Sequence[Message]]) -> float:
    begin = time.process_time()
    for records in log:
        step(records)
    return time.process_time() - begin


def _decode(records: Sequence[Message]) -> list[Event]:
    decode = msgspec.json.Decoder(Event).decode
    return [decode(record.value() or b"") for record in records]


def batches(count: int) -> list[list[Message]]:
    """Records of one partition, as a worker that has fallen behind would fetch them."""
    partitioner = Partitioner(PARTITIONS)
    market = topic.market(count, topic.begin(count))
    mine = [chunk.filter(partitioner.assign(chunk["symbol"]) == 0) for chunk in market]
    events = pl.concat(mine)
    times = (events["arrival"] // 1_000_000).to_list()
    records = messages(encode(events, "json"), 0, times)
    return [records[first : first + BATCH] for first in range(0, len(records), BATCH)]


if __name__ == "__main__":
    main()
