"""Which column of the arrays belongs to which symbol."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from features.ring import Ints

SCHEMA: Final = pl.Schema({"symbol": pl.String, "column": pl.Int64})


class SymbolColumns:
    """Columns given to symbols, lowest free one first, so that freed ones are taken again."""

    def __init__(self) -> None:
        self._table = pl.DataFrame(schema=SCHEMA)

    @property
    def symbols(self) -> pl.Series:
        """The symbols that have a column."""
        return self._table["symbol"]

    @property
    def columns(self) -> Ints:
        """The column of each of `symbols`."""
        return self._table["column"].to_numpy()

    def locate(self, symbols: pl.Series) -> pl.Series:
        """Look up the column of each of `symbols`, null for those that have none."""
        wanted = symbols.alias("symbol").to_frame()
        return wanted.join(self._table, on="symbol", how="left", maintain_order="left")["column"]

    def add(self, symbols: pl.Series) -> Ints:
        """Give a column to each of `symbols`, none of which may have one, and return those columns."""
        new = symbols.alias("symbol").unique(maintain_order=True)
        columns = self._free(new.len())
        self._table = self._table.vstack(pl.DataFrame({"symbol": new, "column": columns}, schema=SCHEMA))
        return columns

    def _free(self, count: int) -> Ints:
        # of as many numbers as there will be symbols, at least `count` are free
        return np.setdiff1d(np.arange(self._table.height + count), self.columns)[:count]

    def remove(self, columns: Ints) -> None:
        """Take the columns from their symbols."""
        self._table = self._table.filter(~pl.col("column").is_in(pl.Series(columns, dtype=pl.Int64).implode()))
