"""Dictionary encoding of a partition's symbols and providers, so that its state consists of integers."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from native.keyed_hash import Key
from native.ordering import Hashes, Ints
from native.strings import Numbering, hashes

SPARE: Final = 1_000  # unused numbers tolerated before renumbering


class Symbols:
    """A number for each string, in the order of first occurrence.

    Args:
        key: for their hashes.
        texts: the known strings.
        most: how many strings get a number.
    """

    def __init__(self, key: Key, texts: pl.Series | None = None, most: int = 2**31 - 1) -> None:
        self._key = key
        self._numbering = Numbering(texts, most)
        self._objects = np.array(self._numbering.texts, np.object_)
        self._ranks: Ints | None = None
        self._hashes: tuple[Hashes, Hashes] | None = None

    def __len__(self) -> int:
        return len(self._numbering)

    def numbers(self, texts: pl.Series) -> Ints:
        """The number of each string, as `Numbering.numbers`; null, as in heartbeats, counts as an empty string."""
        numbers = self._numbering.numbers(texts)
        if len(self) > len(self._objects):
            self._objects = np.array(self._numbering.texts, np.object_)
            self._ranks = self._hashes = None
        return numbers

    def texts(self, numbers: Ints) -> pl.Series:
        """The string of each number."""
        # Building a Series from a list of known strings is faster than Polars plans a gather.
        return pl.Series(self._objects[numbers].tolist(), dtype=pl.String)

    def ranks(self, numbers: Ints) -> Ints:
        """The rank of each number's string among all strings in sorted order."""
        if self._ranks is None:
            self._ranks = pl.Series(self.all, dtype=pl.String).rank("ordinal").to_numpy().astype(np.int64)
        return self._ranks[numbers]

    def hashes(self) -> tuple[Hashes, Hashes]:
        """Two 64-bit hashes of each string, by its number."""
        if self._hashes is None:
            self._hashes = hashes(pl.Series(self.all, dtype=pl.String), self._key)
        return self._hashes

    @property
    def all(self) -> list[str]:
        """All strings, by number."""
        return self._numbering.texts

    def wasted(self, used: int) -> bool:
        """Whether renumbering is worthwhile if `used` numbers are in use."""
        return len(self) > 2 * used + SPARE
