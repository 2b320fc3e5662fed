"""Numbers for the symbols of a partition, so that what is kept of them are integers."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from features.ordering import Hashes, Ints

_SPARE: Final = 1_000  # numbers that nobody uses, before it is worth counting anew


class Symbols:
    """A number for each text, in the order in which they were first seen."""

    def __init__(self, texts: pl.Series | None = None) -> None:
        categories = pl.Categories.random()  # of this object alone, so that they are forgotten with it
        self._categories, self._dtype = categories, pl.Categorical(categories)
        self._known = pl.Series(texts, dtype=pl.String).cast(self._dtype)  # keeps the categories alive
        self._texts = pl.Series(dtype=pl.String)
        self._objects = np.zeros(0, np.object_)
        self._ranks: Ints | None = None
        self._hashes: dict[int, Hashes] = {}

    def numbers(self, texts: pl.Series) -> Ints:
        """The number of each text; new texts get one. What is null, as in heartbeats, counts as an empty text."""
        if texts.null_count():
            texts = texts.fill_null("")
        return texts.cast(self._dtype).to_physical().to_numpy().astype(np.int64)

    def texts(self, numbers: Ints) -> pl.Series:
        """The text of each number."""
        self._refresh(numbers)
        # A list of what is there already is made into a Series sooner than Polars plans a gather.
        return pl.Series(self._objects[numbers].tolist(), dtype=pl.String)

    def ranks(self, numbers: Ints) -> Ints:
        """The place of each number's text among all texts in order."""
        self._refresh(numbers)
        if self._ranks is None:
            self._ranks = self._texts.rank("ordinal").to_numpy().astype(np.int64)
        return self._ranks[numbers]

    def hashes(self, numbers: Ints, seed: int) -> Hashes:
        """64 bits of hash over each text, by its number, as far as some numbers go."""
        self._refresh(numbers)
        if seed not in self._hashes:
            self._hashes[seed] = self._texts.hash(seed).to_numpy(writable=True)
        return self._hashes[seed]

    @property
    def all(self) -> pl.Series:
        """All texts, by number."""
        return self._categories.to_series()

    def wasted(self, used: int) -> bool:
        """Whether it is worth it to count anew if so many numbers are in use."""
        return len(self.all) > 2 * used + _SPARE

    def _refresh(self, numbers: Ints) -> None:
        if int(numbers.max(initial=-1)) >= len(self._texts):
            self._texts, self._ranks = self.all, None
            self._objects = np.array(self._texts.to_list(), np.object_)
            self._hashes.clear()
