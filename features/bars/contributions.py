"""The contributions of events to their bars."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from features.bars.accumulate import Bools, Contributions, Sides, fixed
from features.bars.accumulators import Accumulators, BarIds, collected
from native.ordering import Ints
from native.strings import equal


def contributions(events: pl.DataFrame, bar: BarIds) -> Contributions:
    """The contributions of all events (schema EVENTS; those of heartbeats are meaningless); `bar` is each one's bar."""

    def column(name: str) -> npt.NDArray[Any]:
        return fixed(events[name].to_numpy())

    close = column("c")
    opening, high, low, price = close, close, close, close
    is_bar = equal(events["kind"], "bar")
    if is_bar.any():
        opening, high, low = (fixed(np.where(is_bar, column(name), close)) for name in "ohl")
        price = fixed(np.where(is_bar, (high + low + close) / 3.0, close))
    has_seq, seq = _numbers(events["seq"])
    place = column("src_ts"), has_seq, seq, column("offset"), column("row")
    prices, side = (opening, high, low, close, price), _sides(events["side"])
    return Contributions(bar.window, bar.feed, bar.symbol, *place, *prices, column("v"), side)


def gathered(events: pl.DataFrame, bar: BarIds, rows: Ints) -> Accumulators:
    """One accumulator per bar of the events in `rows`, in the order of their keys; `bar` is each event's bar."""
    return collected(contributions(events, bar), rows)


def _sides(column: pl.Series) -> Sides:
    """The side of each event; 0 where it is not told."""
    if column.null_count() == len(column):  # as of all events of Event v1
        return fixed(np.zeros(len(column), np.int8))
    return fixed(column.fill_null(0).to_numpy())


def _numbers(column: pl.Series) -> tuple[Bools, Ints]:
    """Returns (where there is a number, the numbers)."""
    if not column.null_count():
        return np.ones(len(column), np.bool_), fixed(column.to_numpy())
    return column.is_not_null().to_numpy(writable=True), fixed(column.fill_null(0).to_numpy())
