"""Order books out of levels in columns of their own."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

_DEPTH: Final = 10


def with_books(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with columns `levels` and `depth` as orderbook/v1 has them; levels without a price are left out."""
    sides = {"bids": _side(rows, "bid"), "asks": _side(rows, "ask")}
    levels = pa.StructArray.from_arrays(list(sides.values()), names=list(sides))
    book = pl.Series("levels", pl.from_arrow(levels))
    return rows.with_columns(book, pl.lit(_DEPTH, pl.Int64).alias("depth"))


def _side(rows: pl.DataFrame, side: str) -> pa.Array:
    """Of each row, [price, size] for each level of a side, the best first."""
    prices = np.stack([rows[f"{side}_px_{level:02}"].to_numpy() for level in range(_DEPTH)], axis=1)
    sizes = np.stack([rows[f"{side}_sz_{level:02}"].to_numpy() for level in range(_DEPTH)], axis=1).astype(np.float64)
    is_there = ~np.isnan(prices)
    pairs = np.stack([prices[is_there], sizes[is_there]], axis=1).reshape(-1)
    offsets = np.concatenate([[0], np.cumsum(is_there.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, pa.FixedSizeListArray.from_arrays(pa.array(pairs), 2))
