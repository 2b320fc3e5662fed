"""How far each provider of a partition has come: its newest accepted event, from which its watermark follows."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from features.ordering import Hashes, Ints
from features.texts import Numbering, hashes

NEVER: Final = -(2**63) + 180 * 86_400 * 10**9  # before every valid time, and room to subtract a wait from it
_SEED: Final = 1


class Feeds:
    """Providers by number, in the order in which they were first seen, which they keep."""

    def __init__(self, newest: dict[str, int] | None = None) -> None:
        self._numbering = Numbering(pl.Series(list(newest or {}), dtype=pl.String))
        self.newest: Ints = np.fromiter((newest or {}).values(), np.int64)  # never written to: snapshots may hold it
        self._hashes: tuple[Hashes, Hashes] | None = None

    def hashes(self) -> tuple[Hashes, Hashes]:
        """Twice 64 bits of hash over each provider, by its number."""
        if self._hashes is None:
            self._hashes = hashes(pl.Series(self._numbering.texts, dtype=pl.String), _SEED)
        return self._hashes

    def state(self) -> dict[str, int]:
        """The newest time of each provider."""
        return dict(zip(self._numbering.texts, self.newest.tolist(), strict=True))

    def counted(self, feeds: Ints) -> dict[str, int]:
        """The providers that rows are of, and how many."""
        counts = np.bincount(feeds, minlength=len(self._numbering)).tolist()
        return {provider: count for provider, count in zip(self._numbering.texts, counts, strict=True) if count}

    def names(self, feeds: Ints) -> pl.Series:
        """The provider of each row."""
        return pl.Series(np.array(self._numbering.texts, np.object_)[feeds].tolist(), dtype=pl.String)

    def ranks(self, feeds: Ints) -> Ints:
        """The place of each row's provider among all providers in order."""
        names = self._numbering.texts
        places = {provider: place for place, provider in enumerate(sorted(names))}
        return np.array([places[provider] for provider in names], np.int64)[feeds]

    def numbers(self, providers: pl.Series) -> Ints:
        """The number of each row's provider; new ones get one."""
        numbers = self._numbering.numbers(providers)
        new = len(self._numbering) - len(self.newest)
        if new:
            self.newest, self._hashes = np.append(self.newest, np.full(new, NEVER)), None
        return numbers
