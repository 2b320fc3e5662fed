"""The event ids of the windows that can still change.

An id is kept as 128 bits of hash over (provider, symbol, window, event_id). The hashes lie in a few sorted arrays, each
at least twice as long as the next, so that looking up a batch costs a handful of binary searches and adding one costs
a logarithmic number of merges, however small the batches are and however many ids there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

_Hashes = npt.NDArray[np.uint64]
_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]

_HIGH_SEED: Final = 0x6D6470
_LOW_SEED: Final = 0x626172


@dataclass(frozen=True)
class Ids:
    """Event ids, a row each, by 128 bits of hash over (provider, symbol, window, event_id)."""

    high: _Hashes
    low: _Hashes

    @classmethod
    def of(cls, events: pl.DataFrame, window: _Ints) -> Ids:
        """The ids of events, each in its window."""
        named = events.select("provider", "symbol", "event_id").with_columns(window=window)
        return cls(named.hash_rows(_HIGH_SEED).to_numpy(), named.hash_rows(_LOW_SEED).to_numpy())

    @cached_property
    def _ascending(self) -> _Ints:
        return np.argsort(self.high)

    def ascending(self, rows: _Ints) -> _Ints:
        """Some rows, in ascending order of `high`: one look-up after the other meets warm memory."""
        chosen = np.zeros(len(self.high), np.bool_)
        chosen[rows] = True
        return self._ascending[chosen[self._ascending]]


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

    def fresh(self, ids: Ids, rows: _Ints) -> _Bools:
        """Which of the ids are among `rows`, come for the first time there, and are not in the set.

        An id may linger in the set after its expiry.
        """
        fresh = np.zeros(len(ids.high), np.bool_)
        order = ids.ascending(rows)
        high, low = ids.high[order], ids.low[order]
        found = np.zeros(len(order), np.bool_)
        for run in self._runs:
            found |= run.contains(high, low)
        fresh[order] = ~found
        equal = high[1:] == high[:-1]
        if equal.any():
            again = np.sort(order[np.append(equal, False) | np.append(False, equal)])
            pairs = pl.DataFrame({"high": ids.high[again], "low": ids.low[again]})
            fresh[again] &= pairs.select(pl.struct("high", "low").is_first_distinct()).to_series().to_numpy()
        return fresh

    def add(self, ids: Ids, rows: _Ints, expiry: _Ints, provider: _Ints, watermarks: _Ints) -> None:
        """Adds the ids of `rows`, which are not yet in the set.

        `expiry` and `provider`, an index into `watermarks`, are those of all rows.
        """
        if not len(rows):
            return
        order = ids.ascending(rows)
        run = _Run(ids.high[order], ids.low[order], expiry[order], provider[order])
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
