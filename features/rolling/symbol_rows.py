"""The assignment of array rows to symbols."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import repeat
from typing import Final

import numpy as np
import polars as pl

from features.rolling.ring import Ints

NOWHERE: Final = -1


class SymbolRows:
    """Rows assigned to symbols, lowest free row first, so that freed rows are reused.

    A dictionary: for the bars of a window its look-ups are faster than any query.
    """

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._symbols: list[str] = []  # by row; a freed row keeps its former symbol
        self._free: list[int] = []  # a heap
        self._located: tuple[pl.Series, Ints] | None = None  # the last look-up: many windows have all symbols

    @property
    def symbols(self) -> list[str]:
        """The symbols that have a row."""
        return list(self._rows)

    @property
    def rows(self) -> Ints:
        """The row of each of `symbols`."""
        return np.fromiter(self._rows.values(), np.int64, len(self._rows))

    def locate(self, symbols: pl.Series) -> Ints:
        """Return the row of each of `symbols`, `NOWHERE` for those without one."""
        if self._located is None or not symbols.equals(self._located[0]):
            rows = map(self._rows.get, symbols.to_list(), repeat(NOWHERE))
            self._located = symbols, np.fromiter(rows, np.int64, len(symbols))
        return self._located[1]

    def add(self, symbols: pl.Series) -> Ints:
        """Assign a row to each of `symbols` without one, and return those rows."""
        self._located = None
        new = [symbol for symbol in dict.fromkeys(symbols.to_list()) if symbol not in self._rows]
        return np.array([self._add(symbol) for symbol in new], np.int64)

    def _add(self, symbol: str) -> int:
        row = heappop(self._free) if self._free else len(self._symbols)
        self._symbols[row : row + 1] = [symbol]
        self._rows[symbol] = row
        return row

    def remove(self, rows: Ints) -> None:
        """Free the rows."""
        self._located = None
        for row in rows.tolist():
            del self._rows[self._symbols[row]]
            heappush(self._free, row)
