"""Bars in the making: what a window has taken in so far, and how more is added to it.

An accumulator holds sums as whole numbers of 128 bits in units of 1e-9, so that they do not depend on the order of
adding, and the place of its first and last event in the order (src_ts, seq, offset, row), a missing seq first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.frames import BARS
from features.ordering import Ints

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Accumulators: TypeAlias = npt.NDArray[Any]  # of dtype ACCUMULATOR
Names = tuple[pl.Series, pl.Series]  # providers and symbols
Cause = tuple[Ints, Ints]  # offsets and rows

SCALE: Final = 1e9
LIMB_BITS: Final = 40
_LIMB: Final = pl.Series([2**LIMB_BITS], dtype=pl.Int128)

ORDER: Final = np.dtype([(name, np.int64) for name in ("ts", "has_seq", "seq", "offset", "row")])
SUM: Final = np.dtype((np.int64, 3))  # limbs of 40 bits, lowest first; the last one has the sign and what is left
ACCUMULATOR: Final = np.dtype(
    [
        ("window", np.int64),  # its number: its start divided by its length
        ("feed", np.int64),
        ("symbol", np.int64),
        ("first", ORDER),
        ("last", ORDER),
        ("open", np.float64),
        ("high", np.float64),
        ("low", np.float64),
        ("close", np.float64),
        ("volume", SUM),
        ("turnover", SUM),
        ("trades", np.int64),
        ("revision", np.int64),
    ]
)


@dataclass(frozen=True, slots=True)
class BarIds:
    """Which bar each row is about; arrays of one length."""

    window: Ints
    feed: Ints
    symbol: Ints

    @classmethod
    def of(cls, *parts: Accumulators) -> BarIds:
        return cls(*(np.concatenate([part[name] for part in parts]) for name in ("window", "feed", "symbol")))

    def __getitem__(self, rows: Ints) -> BarIds:
        return BarIds(self.window[rows], self.feed[rows], self.symbol[rows])

    def keys(self) -> Ints:
        """Whole numbers from 0 on in the order of (window, feed, symbol), as small as is easy, equal for one bar."""
        feeds, symbols = int(self.feed.max(initial=0)) + 1, int(self.symbol.max(initial=0)) + 1
        first, last = (int(edge) for edge in (self.window.min(initial=2**62), self.window.max(initial=-(2**62))))
        window = self.window - first
        if (last - first + 1) * feeds * symbols >= 2**63:
            window = np.unique(self.window, return_inverse=True)[1]
        keys: Ints = (window * feeds + self.feed) * symbols + self.symbol
        return keys


# NumPy copies records field by field. As plain bytes they are copied up to twenty times as fast.
_BYTES: Final = np.dtype((np.void, ACCUMULATOR.itemsize))


def none() -> Accumulators:
    """No accumulators."""
    return np.zeros(0, ACCUMULATOR)


def taken(bars: Accumulators, which: Ints | Bools) -> Accumulators:
    """Some of the accumulators, by their places or by a mask."""
    return bars.view(_BYTES)[which].view(ACCUMULATOR)


def joined(*parts: Accumulators) -> Accumulators:
    """All accumulators, one part after the other."""
    return np.concatenate([part.view(_BYTES) for part in parts]).view(ACCUMULATOR)


def _inserted(bars: Accumulators, places: Ints, added: Accumulators) -> Accumulators:
    return np.insert(bars.view(_BYTES), places, added.view(_BYTES)).view(ACCUMULATOR)


def merged(bars: Accumulators, added: Accumulators) -> Accumulators:
    """One accumulator per bar out of two sets of them, all in the order of their keys."""
    if not (len(bars) and len(added)):
        return added if len(added) else bars
    mine, theirs = np.split(BarIds.of(bars, added).keys(), [len(bars)])
    place = np.searchsorted(mine, theirs)
    is_known = mine[np.minimum(place, len(mine) - 1)] == theirs
    known = place[is_known]
    bars = joined(bars)  # a copy: a snapshot may hold them
    bars[known] = _sum(taken(bars, known), taken(added, is_known))
    return bars if is_known.all() else _inserted(bars, place[~is_known], taken(added, ~is_known))


def _sum(ones: Accumulators, others: Accumulators) -> Accumulators:
    """Accumulators of the same bars, added pair by pair."""
    total = ones.copy()
    earlier, later = _precedes(others["first"], ones["first"]), _precedes(ones["last"], others["last"])
    for name, is_other in (("first", earlier), ("open", earlier), ("last", later), ("close", later)):
        total[name][is_other] = others[name][is_other]
    np.maximum(ones["high"], others["high"], out=total["high"])
    np.minimum(ones["low"], others["low"], out=total["low"])
    for name in ("volume", "turnover"):
        total[name] = carried(ones[name] + others[name])
    for name in ("trades", "revision"):
        total[name] += others[name]
    return total


def _precedes(ones: npt.NDArray[Any], others: npt.NDArray[Any]) -> Bools:
    """Which of some places come before those opposite."""
    before = np.zeros(len(ones), np.bool_)
    for name in reversed(ORDER.names or ()):
        before = (ones[name] < others[name]) | ((ones[name] == others[name]) & before)
    return before


def carried(limbs: Ints) -> Ints:
    """Sums of limbs, shape (sums, 3), with what does not fit a limb added to the next."""
    for limb in range(2):
        limbs[:, limb + 1] += limbs[:, limb] >> LIMB_BITS
        limbs[:, limb] &= 2**LIMB_BITS - 1
    return limbs


def _floats(limbs: Ints) -> Floats:
    """The floats that are nearest to the sums."""
    low, middle, top = (pl.Series(limbs[:, limb]).cast(pl.Int128) for limb in range(3))
    total: Floats = ((top * _LIMB + middle) * _LIMB + low).cast(pl.Float64).to_numpy()
    return total


def finished(bars: Accumulators, names: Names, cause: Cause, window_ns: int, interval: str) -> pl.DataFrame:
    """Accumulators as BARS, with the names (provider, symbol) and the cause (offset, row) of each.

    The sums become floats here, and nowhere else. NumPy divides: Polars multiplies by the reciprocal of what is one
    number, which differs in the last bit.
    """
    volume, turnover = np.split(_floats(np.concatenate([bars["volume"], bars["turnover"]])), 2)
    vwap = np.divide(turnover, volume, out=np.full(len(volume), np.nan), where=volume != 0)
    start = bars["window"] * window_ns
    columns: dict[str, Any] = {
        **dict(zip(("provider", "symbol"), names, strict=True)),
        "interval": pl.Series([interval]).new_from_index(0, len(bars)),
        "window_start": start,
        "window_end": start + window_ns,
        **{name: np.ascontiguousarray(bars[name]) for name in ("open", "high", "low", "close")},
        "volume": volume / SCALE,
        "vwap": pl.Series(vwap, nan_to_null=True),
        **{name: np.ascontiguousarray(bars[name]) for name in ("trades", "revision")},
        **dict(zip(("offset", "row"), cause, strict=True)),
    }
    return pl.DataFrame(
        [pl.Series(name, column, dtype) for (name, dtype), column in zip(BARS.items(), columns.values(), strict=True)]
    )
