"""Which column of the arrays belongs to which symbol."""

from __future__ import annotations

import numpy as np
import polars as pl

from features.ring import Ints


class SymbolColumns:
    """Columns given to symbols, lowest free one first, so that freed ones are taken again.

    A dictionary: for the bars of a window it is faster than any query, which would cost more than all look-ups.
    """

    def __init__(self) -> None:
        self._columns: dict[str, int] = {}
        self._located: tuple[pl.Series, pl.Series] | None = None  # the newest look-up: many windows have all symbols
        self.columns: Ints = np.zeros(0, np.int64)  # of each of `symbols`

    @property
    def symbols(self) -> pl.Series:
        """The symbols that have a column."""
        return pl.Series(list(self._columns), dtype=pl.String)

    def locate(self, symbols: pl.Series) -> pl.Series:
        """Look up the column of each of `symbols`, null for those that have none."""
        if self._located is None or not symbols.equals(self._located[0]):
            self._located = symbols, pl.Series(list(map(self._columns.get, symbols.to_list())), dtype=pl.Int64)
        return self._located[1]

    def add(self, symbols: pl.Series) -> Ints:
        """Give a column to each of `symbols`, none of which may have one, and return those columns."""
        new = dict.fromkeys(symbols)
        columns = self._free(len(new))
        self._located = None
        self._columns |= zip(new, columns.tolist(), strict=True)
        self.columns = np.concatenate([self.columns, columns])
        return columns

    def _free(self, count: int) -> Ints:
        # of as many numbers as there will be symbols, at least `count` are free
        return np.setdiff1d(np.arange(len(self._columns) + count), self.columns)[:count]

    def remove(self, columns: Ints) -> None:
        """Take the columns from their symbols."""
        gone, self._located = set(columns.tolist()), None
        self._columns = {symbol: column for symbol, column in self._columns.items() if column not in gone}
        self.columns = np.fromiter(self._columns.values(), np.int64)
