"""How far each provider of a partition has come: its newest accepted event, from which its watermark follows."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from features.bars.symbols import Symbols
from native.keyed_hash import Key
from native.ordering import Hashes, Ints

NEVER: Final = -(2**63) + 180 * 86_400 * 10**9  # before every valid time, and room to subtract a wait from it


class Providers:
    """Providers by number, in the order in which they were first seen, which they keep.

    Args:
        key: of their hashes.
        newest: the newest time of each that is known already.
    """

    def __init__(self, key: Key, newest: dict[str, int] | None = None) -> None:
        self._providers = Symbols(key, pl.Series(list(newest or {}), dtype=pl.String))
        self.newest: Ints = np.fromiter((newest or {}).values(), np.int64)  # never written to: snapshots may hold it

    def hashes(self) -> tuple[Hashes, Hashes]:
        """Twice 64 bits of hash over each provider, by its number."""
        return self._providers.hashes()

    def state(self) -> dict[str, int]:
        """The newest time of each provider."""
        return dict(zip(self._providers.all, self.newest.tolist(), strict=True))

    def counted(self, feeds: Ints) -> dict[str, int]:
        """The providers that rows are of, and how many."""
        counts = np.bincount(feeds, minlength=len(self._providers)).tolist()
        return {provider: count for provider, count in zip(self._providers.all, counts, strict=True) if count}

    def names(self, feeds: Ints) -> pl.Series:
        """The provider of each row."""
        return self._providers.texts(feeds)

    def ranks(self, feeds: Ints) -> Ints:
        """The place of each row's provider among all providers in order."""
        return self._providers.ranks(feeds)

    def numbers(self, providers: pl.Series) -> Ints:
        """The number of each row's provider; new ones get one."""
        numbers = self._providers.numbers(providers)
        new = len(self._providers) - len(self.newest)
        if new:
            self.newest = np.append(self.newest, np.full(new, NEVER))
        return numbers
