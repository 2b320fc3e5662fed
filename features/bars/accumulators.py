"""Accumulators of bars: what a window has aggregated so far.

An accumulator holds exact sums, which do not depend on the order of addition, and the position of its first and last
event in the order (src_ts, seq, offset, row), a missing seq first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.frames import BARS
from features.bars.accumulate import NOWHERE, PLACE_PARTS, Bools, Contributions, amend, collect, fixed, merge
from features.bars.exact_sums import SUM, nearest, nearest_sizes
from native.keyed_hash import new_key
from native.ordering import Ints, ascending

Accumulators: TypeAlias = npt.NDArray[Any]  # of dtype ACCUMULATOR
Names = tuple[pl.Series, pl.Series]  # providers and symbols
Cause = tuple[Ints, Ints]  # offsets and rows

PLACE: Final = np.dtype((np.int64, PLACE_PARTS))  # src_ts, whether there is a seq, seq or 0, offset, row
ACCUMULATOR: Final = np.dtype(
    [
        ("window", np.int64),  # its number: start divided by length
        ("feed", np.int64),
        ("symbol", np.int64),
        ("first", PLACE),
        ("last", PLACE),
        ("open", np.float64),
        ("high", np.float64),
        ("low", np.float64),
        ("close", np.float64),
        ("volume", SUM),
        ("turnover", SUM),
        ("bought", SUM),  # the volume of events whose side is told
        ("sold", SUM),
        ("sided", np.int64),  # how many these are
        ("trades", np.int64),
        ("revision", np.int64),
    ]
)


@dataclass(frozen=True, slots=True)
class BarIds:
    """The bar of each row; arrays of one length."""

    window: Ints
    feed: Ints
    symbol: Ints

    @classmethod
    def of(cls, *parts: Accumulators) -> BarIds:
        return cls(*(np.concatenate([part[name] for part in parts]) for name in ("window", "feed", "symbol")))

    def __getitem__(self, rows: Ints) -> BarIds:
        return BarIds(self.window[rows], self.feed[rows], self.symbol[rows])

    def keys(self) -> Ints:
        """Small non-negative numbers, equal for rows of one bar, in the order of (window, feed, symbol)."""
        feeds, symbols = int(self.feed.max(initial=0)) + 1, int(self.symbol.max(initial=0)) + 1
        first, last = (int(edge) for edge in (self.window.min(initial=2**62), self.window.max(initial=-(2**62))))
        window = self.window - first
        if (last - first + 1) * feeds * symbols >= 2**63:
            window = np.unique(self.window, return_inverse=True)[1]
        keys: Ints = (window * feeds + self.feed) * symbols + self.symbol
        return keys


# NumPy copies records field by field. Copies of plain bytes are up to twenty times as fast.
_BYTES: Final = np.dtype((np.void, ACCUMULATOR.itemsize))


def none() -> Accumulators:
    """No accumulators."""
    return np.zeros(0, ACCUMULATOR)


def taken(bars: Accumulators, which: Ints | Bools) -> Accumulators:
    """Some of the accumulators, by index or by mask."""
    return bars.view(_BYTES)[which].view(ACCUMULATOR)


def joined(*parts: Accumulators) -> Accumulators:
    """All accumulators, one part after the other."""
    return np.concatenate([part.view(_BYTES) for part in parts]).view(ACCUMULATOR)


def merged(bars: Accumulators, added: Accumulators) -> Accumulators:
    """Merges two sets into one accumulator per bar, all in the order of (window, feed, symbol)."""
    if not (len(bars) and len(added)):
        return added if len(added) else bars
    total = np.empty(len(bars) + len(added), ACCUMULATOR)
    return total[: merge(bars, added, total)]


def collected(events: Contributions, rows: Ints) -> Accumulators:
    """One accumulator per bar of the events in `rows`, in the order of (window, feed, symbol)."""
    bars = np.empty(len(rows), ACCUMULATOR)
    bars = bars[: collect(events, rows, (table(len(rows)), new_key()), bars)]
    return taken(bars, ascending(BarIds.of(bars).keys()))


def amended(bars: Accumulators, events: Contributions, rows: Ints) -> tuple[Accumulators, Accumulators]:
    """Returns (the bars with some events added, including new bars; the bar after each of these events)."""
    after = np.empty(len(rows), ACCUMULATOR)
    total = joined(bars, after)  # a copy: a snapshot may hold the bars
    return total[: amend(total, events, rows, (table(len(total)), new_key()), after)], after


def table(count: int) -> npt.NDArray[np.int32]:
    """An empty hash table for `count` indices; it never gets half full."""
    return np.full(2 << count.bit_length(), NOWHERE, np.int32)


def finished(bars: Accumulators, names: Names, cause: Cause, window_ns: int, interval: str) -> pl.DataFrame:
    """Accumulators as BARS, with the names (provider, symbol) and the cause (offset, row) of each bar.

    The sums are converted to floats only here. Each sum is rounded, and so is their quotient; it is clamped to the
    range of prices, so that the mean of equal prices is that price.
    """
    volume, turnover = (np.ascontiguousarray(bars[name]) for name in ("volume", "turnover"))
    volume, turnover = nearest_sizes(volume), nearest(turnover)
    mean = np.divide(turnover, volume, out=np.full(len(volume), np.nan), where=volume != 0)
    vwap = np.clip(mean, bars["low"], bars["high"])
    start = bars["window"] * window_ns
    columns: dict[str, Any] = {
        **dict(zip(("provider", "symbol"), names, strict=True)),
        "interval": pl.Series([interval]).new_from_index(0, len(bars)),
        "window_start": start,
        "window_end": start + window_ns,
        **{name: np.ascontiguousarray(bars[name]) for name in ("open", "high", "low", "close")},
        "volume": volume,
        "vwap": pl.Series(vwap, nan_to_null=True),
        **{f"{way}_volume": _told(bars, sums) for way, sums in (("buy", "bought"), ("sell", "sold"))},
        **{name: np.ascontiguousarray(bars[name]) for name in ("trades", "revision")},
        **dict(zip(("offset", "row"), cause, strict=True)),
    }
    return pl.DataFrame(
        [pl.Series(name, column, dtype) for (name, dtype), column in zip(BARS.items(), columns.values(), strict=True)]
    )


def _told(bars: Accumulators, name: str) -> pl.Series:
    """The sums of bars that have events whose side is told; null for others."""
    is_told = bars["sided"] > 0
    if not is_told.any():
        return pl.Series([None], dtype=pl.Float64).new_from_index(0, len(bars))
    return pl.Series(nearest_sizes(np.ascontiguousarray(bars[name]))).set(pl.Series(~is_told), None)


def _warm_up() -> None:
    """Loads the compiled code at import, rather than at the first use."""
    rows, numbers = np.zeros(0, np.int64), fixed(np.zeros(0))
    wholes = fixed(np.zeros(0, np.int64))
    order = wholes, np.zeros(0, np.bool_), wholes, wholes, wholes
    prices, sides = (numbers, numbers, numbers, numbers, numbers), fixed(np.zeros(0, np.int8))
    events = Contributions(rows, rows, rows, *order, *prices, numbers, sides)
    bars, _ = amended(collected(events, rows), events, rows)
    sums = np.ascontiguousarray(bars["volume"])
    nearest(sums), nearest_sizes(sums)
    merge(none(), none(), none())


_warm_up()
