"""How far each provider of a partition has come: its newest accepted event, from which its watermark follows."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from features.ordering import Hashes, Ints

NEVER: Final = -(2**63) + 180 * 86_400 * 10**9  # before every valid time, and room to subtract a wait from it


class Feeds:
    """Providers by number, in the order in which they were first seen, which they keep."""

    def __init__(self, newest: dict[str, int] | None = None) -> None:
        self._numbers = {provider: number for number, provider in enumerate(newest or {})}
        self.newest: Ints = np.fromiter((newest or {}).values(), np.int64)  # never written to: snapshots may hold it
        self._hashes: dict[int, Hashes] = {}

    def hashes(self, seed: int) -> Hashes:
        """64 bits of hash over each provider, by its number."""
        if len(self._hashes.get(seed, ())) < len(self._numbers):
            self._hashes[seed] = pl.Series(list(self._numbers)).hash(seed).to_numpy(writable=True)
        return self._hashes[seed]

    def state(self) -> dict[str, int]:
        """The newest time of each provider."""
        return dict(zip(self._numbers, self.newest.tolist(), strict=True))

    def counted(self, feeds: Ints) -> dict[str, int]:
        """The providers that rows are of, and how many."""
        counts = np.bincount(feeds, minlength=len(self._numbers)).tolist()
        return {provider: count for provider, count in zip(self._numbers, counts, strict=True) if count}

    def names(self, feeds: Ints) -> pl.Series:
        """The provider of each row."""
        return pl.Series(np.array(list(self._numbers), np.object_)[feeds].tolist(), dtype=pl.String)

    def ranks(self, feeds: Ints) -> Ints:
        """The place of each row's provider among all providers in order."""
        places = {provider: place for place, provider in enumerate(sorted(self._numbers))}
        return np.array([places[provider] for provider in self._numbers], np.int64)[feeds]

    def numbers(self, providers: pl.Series) -> Ints:
        """The number of each row's provider; new ones get one."""
        names, rows = _codes(providers)
        known = [self._numbers.setdefault(provider, len(self._numbers)) for provider in names]
        self.newest = np.append(self.newest, np.full(len(self._numbers) - len(self.newest), NEVER))
        return np.array(known, np.int64)[rows]


def _codes(texts: pl.Series) -> tuple[pl.Series, Ints]:
    """(the distinct texts, for each row the place of its text among them)."""
    if texts.is_empty() or (texts == texts[0]).all():
        return texts.head(1), np.zeros(len(texts), np.int64)
    distinct = texts.unique(maintain_order=True)
    places = texts.replace_strict(distinct, pl.int_range(len(distinct), eager=True), return_dtype=pl.Int64)
    return distinct, places.to_numpy()
