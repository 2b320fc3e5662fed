"""`python -m bench.growth_case '{"symbols": 5000}'`: the cost of one case of bench.growth, in this process alone."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bench.partition import BATCH, Partition, fetches
from codec.encode import encode
from contracts.record import Fetch
from features.rolling.feature_config import KINDS
from flows.config_file import load
from flows.settings import Settings
from mdp.cost.worker import peak_mb
from native import memory_tuning

START_NS = 1_760_000_400 * 10**9  # divisible by an hour
CLOSES = 10
MANY = 1_000_000  # events in a window
CONFIG = Path(__file__).resolve().parent.parent / "configs" / "streaming.yaml"
RULES = Path(__file__).with_name("growth_rules.yaml")


@dataclass(frozen=True)
class Case:
    """Attributes:
    horizon: of the longest features, in windows.
    events: in each measured window; 0: 1,000 per second of the window.
    """

    symbols: int = 100
    horizon: int = 60
    window_s: int = 2
    features: int = 8
    events: int = 20_000

    @property
    def per_window(self) -> int:
        return max(self.symbols, self.events or 1_000 * self.window_s)

    def settings(self) -> Settings:
        """Features of all kinds over four horizons; five rules."""
        horizons = [max(5, self.horizon * part // 4) * self.window_s for part in (4, 3, 2, 1)]
        features = [
            f"{{name: f{number}, kind: {KINDS[number % len(KINDS)]}, horizon: {horizons[number // len(KINDS) % 4]}s}}"
            for number in range(self.features)
        ]
        return load(
            CONFIG,
            [
                f"micro_batch.window_ms={self.window_s * 1_000}",
                "micro_batch.allow_late_ms=0",
                f"features.windows=[{', '.join(features)}]",
                f"inference.adapters.rules.file={RULES}",
            ],
        )


class Market:
    """A partition on which all symbols trade in turn, evenly in each window."""

    def __init__(self, case: Case) -> None:
        self._names = [f"S{number:05d}" for number in range(case.symbols)]
        self._window_ns = case.window_s * 10**9
        self._sent = 0
        self._random = np.random.default_rng(1)

    def first(self, number: int, count: int) -> list[Fetch]:
        """The first event of a window, alone."""
        return self._records(number, np.arange(1), count)

    def window(self, number: int, count: int, start: int = 0) -> Iterator[list[Fetch]]:
        """The events of a window from the `start`-th on, `BATCH` of them at a time."""
        for first in range(start, count, BATCH):
            yield self._records(number, np.arange(first, min(first + BATCH, count)), count)

    def _records(self, number: int, places: np.ndarray, count: int) -> list[Fetch]:
        times = START_NS + number * self._window_ns + places * self._window_ns // count
        price = np.round(100 + self._random.standard_normal(len(places)), 4)
        seq = np.arange(self._sent, self._sent + len(places))
        frame = pl.DataFrame(
            {
                "provider": ["market"] * len(places),
                "symbol": [self._names[place % len(self._names)] for place in places.tolist()],
                "kind": ["tick"] * len(places),
                "interval": ["tick"] * len(places),
                "src_ts": times,
                "ingest_ts": times,
                **dict.fromkeys("ohlc", price),
                "v": np.ones(len(places)),
                "seq": seq,
                "event_id": [f"market-{one:012d}" for one in seq.tolist()],
            }
        )
        first, self._sent = self._sent, self._sent + len(places)
        return fetches(encode(frame, "json"), first, (times // 1_000_000).tolist())


def measure(case: Case) -> dict[str, float]:
    """The costs in CPU time, each the median of its kind; the snapshot is one of a full window."""
    market, partition = Market(case), Partition(case.settings())
    number = _filled(case, market, partition)
    per_event: list[float] = []
    closes: list[float] = []
    for _ in range(CLOSES if case.per_window <= MANY else 2):
        window = market.window(number, case.per_window, start=1)
        per_event += [_spent(partition.bars, parts)[0] / sum(len(part.records) for part in parts) for parts in window]
        snapshots = [_spent(partition.saved) for _ in range(3)]
        number += 1
        closes.append(_spent(partition.signals, market.first(number, case.per_window))[0])
    return {
        "us_per_event": statistics.median(per_event) * 1e6,
        "close_ms": statistics.median(closes) * 1e3,
        "snapshot_mb": snapshots[0][1] / 2**20,
        "snapshot_ms": min(seconds for seconds, _ in snapshots) * 1e3,
        "rss_mb": peak_mb(),
    }


def _filled(case: Case, market: Market, partition: Partition) -> int:
    """Fills the history with windows in which each symbol trades once; returns the number of the open window."""
    last = case.horizon + 2
    for number in range(last):
        for records in market.window(number, case.symbols, start=1):
            partition.bars(records)
        partition.signals(market.first(number + 1, case.symbols if number + 1 < last else case.per_window))
    return last


def _spent(call: Callable[..., Any], *given: Any) -> tuple[float, Any]:
    begin = time.process_time()
    answer = call(*given)
    return time.process_time() - begin, answer


def main() -> None:
    case = Case(**json.loads(sys.argv[1]))
    memory_tuning.tune()  # as a worker does
    print(json.dumps(measure(case)))


if __name__ == "__main__":
    main()
