"""The newest accepted event of each provider of a partition, from which its watermark follows."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from features.bars.symbols import Symbols
from native.keyed_hash import Key
from native.ordering import Hashes, Ints

NEVER: Final = -(2**63) + 180 * 86_400 * 10**9  # before every valid time, with margin to subtract a grace


class Providers:
    """Providers by number, in the order of first occurrence; a number never changes.

    A provider stays for ever: without its watermark, its old events would count again.

    Args:
        key: for their hashes.
        newest: the newest time of each known provider.
        most: how many get a number.
    """

    def __init__(self, key: Key, newest: dict[str, int] | None = None, most: int = 2**31 - 1) -> None:
        self._providers = Symbols(key, pl.Series(list(newest or {}), dtype=pl.String), most)
        self.newest: Ints = np.fromiter((newest or {}).values(), np.int64)  # never mutated: snapshots may share it

    def hashes(self) -> tuple[Hashes, Hashes]:
        """Two 64-bit hashes of each provider, by its number."""
        return self._providers.hashes()

    def state(self) -> dict[str, int]:
        """The newest time of each provider."""
        return dict(zip(self._providers.all, self.newest.tolist(), strict=True))

    def counted(self, feeds: Ints) -> dict[str, int]:
        """The providers of rows, and their counts."""
        counts = np.bincount(feeds, minlength=len(self._providers)).tolist()
        return {provider: count for provider, count in zip(self._providers.all, counts, strict=True) if count}

    def names(self, feeds: Ints) -> pl.Series:
        """The provider of each row."""
        return self._providers.texts(feeds)

    def ranks(self, feeds: Ints) -> Ints:
        """The rank of each row's provider among all providers in sorted order."""
        return self._providers.ranks(feeds)

    def numbers(self, providers: pl.Series) -> Ints:
        """The number of each row's provider; new ones get the next, or `NOWHERE` once there are `most`."""
        numbers = self._providers.numbers(providers)
        new = len(self._providers) - len(self.newest)
        if new:
            self.newest = np.append(self.newest, np.full(new, NEVER))
        return numbers
