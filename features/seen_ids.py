"""The event ids of the windows that can still change.

An id is kept as 96 bits of hash over (provider, symbol, window, event_id). The hashes lie in a few sorted arrays, each
at least twice as long as the next, so that looking up a batch costs a handful of binary searches and adding one costs
a logarithmic number of merges, however small the batches are and however many ids there are. An id can only be where
others of its window are, so most of a batch that catches up is looked up nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from features.accumulators import BarIds
from features.feeds import Feeds
from features.ordering import Ints, ascending
from features.symbols import Symbols

_Short = npt.NDArray[np.uint32]
_Long = npt.NDArray[np.uint64]
_Bools = npt.NDArray[np.bool_]

_HIGH_SEED: Final = 0x6D6470
_LOW_SEED: Final = 0x626172
_ODD: Final = np.uint64(0x9E3779B97F4A7C15)  # so that no two windows have the same multiple of it


@dataclass(frozen=True)
class Ids:
    """Event ids, a row each, by 96 bits of hash over (provider, symbol, window, event_id).

    Attributes:
        high: what they are sorted by. Short numbers are sorted several times as fast.
        low: what tells ids apart that share `high`.
        expiry: until which watermark each has to be remembered: equal for all ids of a window.
    """

    high: _Short
    low: _Long
    expiry: Ints

    @classmethod
    def of(cls, event_ids: pl.Series, bar: BarIds, feeds: Feeds, symbols: Symbols, expiry: Ints) -> Ids:
        """The ids of events, each in its bar."""

        def hashed(seed: int) -> _Long:
            # Sums of hashes that know nothing of each other are as good as a hash of all of it.
            provider, symbol = feeds.hashes(bar.feed, seed + 1), symbols.hashes(bar.symbol, seed + 2)
            total: _Long = event_ids.hash(seed).to_numpy() + provider + symbol + bar.window.view(np.uint64) * _ODD
            return total

        return cls((hashed(_HIGH_SEED) >> np.uint64(32)).astype(np.uint32), hashed(_LOW_SEED), expiry)

    @cached_property
    def _ascending(self) -> Ints:
        return ascending(self.high)

    def ascending(self, rows: Ints) -> Ints:
        """Some rows, in ascending order of `high`: one look-up after the other meets warm memory."""
        chosen = np.zeros(len(self.high), np.bool_)
        chosen[rows] = True
        return self._ascending[chosen[self._ascending]]


@dataclass(frozen=True, slots=True)
class _Run:
    """Ids in ascending order of `high`, and until which watermark each has to be remembered."""

    high: _Short
    low: _Long
    expiry: Ints
    provider: Ints
    newest: int  # the largest expiry

    @classmethod
    def of(cls, high: _Short, low: _Long, expiry: Ints, provider: Ints) -> _Run:
        return cls(high, low, expiry, provider, int(expiry.max(initial=-(2**63))))

    def contains(self, ids: Ids, rows: Ints) -> _Bools:
        """Which of some rows, in ascending order of `high`, are here."""
        found = np.zeros(len(rows), np.bool_)
        asked = np.flatnonzero(ids.expiry[rows] <= self.newest)
        if len(asked):
            found[asked] = self._contains(ids.high[rows[asked]], ids.low[rows[asked]])
        return found

    def _contains(self, high: _Short, low: _Long) -> _Bools:
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

    def fresh(self, ids: Ids, rows: Ints) -> _Bools:
        """Which of the ids are among `rows`, come for the first time there, and are not in the set.

        An id may linger in the set after its expiry.
        """
        fresh = np.zeros(len(ids.high), np.bool_)
        order = ids.ascending(rows)
        found = np.zeros(len(order), np.bool_)
        for run in self._runs:
            found |= run.contains(ids, order)
        fresh[order] = ~found
        high = ids.high[order]
        equal = high[1:] == high[:-1]
        if equal.any():
            alike = order[np.append(equal, False) | np.append(False, equal)]
            by_id = alike[np.lexsort((ids.low[alike], ids.high[alike]))]  # stable: of equal ids the first comes first
            high, low = ids.high[by_id], ids.low[by_id]
            fresh[by_id[1:][(high[1:] == high[:-1]) & (low[1:] == low[:-1])]] = False
        return fresh

    def add(self, ids: Ids, rows: Ints, provider: Ints, watermarks: Ints) -> None:
        """Adds the ids of `rows`, none of them in the set; `provider`, of all rows, is an index into `watermarks`."""
        if not len(rows):
            return
        order = ids.ascending(rows)
        run = _Run.of(ids.high[order], ids.low[order], ids.expiry[order], provider[order])
        runs = list(self._runs)
        while runs and len(runs[-1].high) < 2 * len(run.high):
            run = _merged([runs.pop(), run], watermarks)
        self._runs = (*runs, run)

    def forget(self, watermarks: Ints) -> None:
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


def _merged(runs: list[_Run], watermarks: Ints) -> _Run:
    high, low = (np.concatenate([getattr(run, name) for run in runs]) for name in ("high", "low"))
    expiry, provider = (np.concatenate([getattr(run, name) for run in runs]) for name in ("expiry", "provider"))
    order = np.argsort(high, kind="stable")  # which makes use of the order there is
    kept = order[~(expiry < watermarks[provider])[order]]
    return _Run.of(high[kept], low[kept], expiry[kept], provider[kept])
