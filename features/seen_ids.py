"""The event ids of the windows that can still change.

An id is kept as 128 bits of hash over (provider, symbol, window, event_id). The hashes lie in a few sorted arrays, each
at least twice as long as the next, so that looking up a batch costs a handful of binary searches and adding one costs
a logarithmic number of merges, however small the batches are and however many ids there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

_Hashes = npt.NDArray[np.uint64]
_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]

_HIGH_SEED: Final = 0x6D6470
_LOW_SEED: Final = 0x626172


def fingerprints(rows: pl.DataFrame) -> pl.DataFrame:
    """Columns high and low, 64 bits each, of rows with provider, symbol, window and event_id."""
    scope = pl.struct("provider", "symbol", "window")
    return rows.select(
        high=pl.col("event_id").hash(_HIGH_SEED) ^ scope.hash(_HIGH_SEED),
        low=pl.col("event_id").hash(_LOW_SEED) ^ scope.hash(_LOW_SEED),
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """Ids in ascending order of `high`, and until which watermark each has to be remembered."""

    high: _Hashes
    low: _Hashes
    expiry: _Ints
    provider: _Ints

    def contains(self, high: _Hashes, low: _Hashes) -> _Bools:
        found = np.zeros(len(high), np.bool_)
        position = np.searchsorted(self.high, high)
        candidates = np.arange(len(high))
        while len(candidates):  # more than one round only where two different ids share `high`
            inside = position[candidates] < len(self.high)
            candidates = candidates[inside]
            candidates = candidates[self.high[position[candidates]] == high[candidates]]
            found[candidates] = self.low[position[candidates]] == low[candidates]
            candidates = candidates[~found[candidates]]
            position[candidates] += 1
        return found


class SeenIds:
    """A set of ids that forgets them when their provider's watermark has passed their expiry."""

    def __init__(self) -> None:
        self._runs: tuple[_Run, ...] = ()

    def __len__(self) -> int:
        return sum(len(run.high) for run in self._runs)

    def contains(self, high: _Hashes, low: _Hashes) -> _Bools:
        """Which of the ids are in the set (an id may linger after its expiry)."""
        found = np.zeros(len(high), np.bool_)
        for run in self._runs:
            found |= run.contains(high, low)
        return found

    def add(self, high: _Hashes, low: _Hashes, expiry: _Ints, provider: _Ints, watermarks: _Ints) -> None:
        """Adds ids that are not yet in the set, each with its expiry and the index of its provider in `watermarks`."""
        if not len(high):
            return
        order = np.argsort(high)
        run = _Run(high[order], low[order], expiry[order], provider[order])
        runs = list(self._runs)
        while runs and len(runs[-1].high) < 2 * len(run.high):
            run = _merged([runs.pop(), run], watermarks)
        self._runs = (*runs, run)

    def forget(self, watermarks: _Ints) -> None:
        """Drops what has expired, once it is worth the copying."""
        if not self._runs:
            return
        largest = self._runs[0]
        expired = np.count_nonzero(largest.expiry < watermarks[largest.provider])
        if 2 * expired > len(largest.high):
            self._runs = (_merged(list(self._runs), watermarks),)

    def snapshot(self) -> tuple[_Run, ...]:
        return self._runs

    def restore(self, state: tuple[_Run, ...]) -> None:
        self._runs = state


def _merged(runs: list[_Run], watermarks: _Ints) -> _Run:
    high, low = (np.concatenate([getattr(run, name) for run in runs]) for name in ("high", "low"))
    expiry, provider = (np.concatenate([getattr(run, name) for run in runs]) for name in ("expiry", "provider"))
    order = np.argsort(high, kind="stable")  # which makes use of the order there is
    kept = order[~(expiry < watermarks[provider])[order]]
    return _Run(high[kept], low[kept], expiry[kept], provider[kept])
