"""Numbers for the symbols and providers of a partition, so that what is kept of them are integers."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from native.keyed_hash import Key
from native.ordering import Hashes, Ints
from native.strings import Numbering, hashes

_SPARE: Final = 1_000  # numbers that nobody uses, before it is worth counting anew


class Symbols:
    """A number for each text, in the order in which they were first seen.

    Args:
        key: of their hashes.
        texts: those that are known already.
    """

    def __init__(self, key: Key, texts: pl.Series | None = None) -> None:
        self._key = key
        self._numbering = Numbering(texts)
        self._objects = np.array(self._numbering.texts, np.object_)
        self._ranks: Ints | None = None
        self._hashes: tuple[Hashes, Hashes] | None = None

    def __len__(self) -> int:
        return len(self._numbering)

    def numbers(self, texts: pl.Series) -> Ints:
        """The number of each text; new texts get one. What is null, as in heartbeats, counts as an empty text."""
        numbers = self._numbering.numbers(texts)
        if len(self) > len(self._objects):
            self._objects = np.array(self._numbering.texts, np.object_)
            self._ranks = self._hashes = None
        return numbers

    def texts(self, numbers: Ints) -> pl.Series:
        """The text of each number."""
        # A list of what is there already is made into a Series sooner than Polars plans a gather.
        return pl.Series(self._objects[numbers].tolist(), dtype=pl.String)

    def ranks(self, numbers: Ints) -> Ints:
        """The place of each number's text among all texts in order."""
        if self._ranks is None:
            self._ranks = pl.Series(self.all, dtype=pl.String).rank("ordinal").to_numpy().astype(np.int64)
        return self._ranks[numbers]

    def hashes(self) -> tuple[Hashes, Hashes]:
        """Twice 64 bits of hash over each text, by its number."""
        if self._hashes is None:
            self._hashes = hashes(pl.Series(self.all, dtype=pl.String), self._key)
        return self._hashes

    @property
    def all(self) -> list[str]:
        """All texts, by number."""
        return self._numbering.texts

    def wasted(self, used: int) -> bool:
        """Whether it is worth it to count anew if so many numbers are in use."""
        return len(self) > 2 * used + _SPARE
