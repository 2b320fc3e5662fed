"""Bars in the making: what a window has taken in so far, and how more is added to it.

An accumulator holds sums as 128-bit integers in units of 1e-9, so that they do not depend on the order of adding, and
the place of its first and last event in the order (src_ts, seq, offset, row), a missing seq first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.frames import BARS
from features.feeds import Ints, codes

Floats = npt.NDArray[np.float64]

KEY: Final = ("provider", "symbol", "window")
_ORDER: Final = {"ts": pl.Int64, "seq": pl.Int64, "offset": pl.Int64, "row": pl.Int64}
_FIRST: Final = [f"first_{name}" for name in _ORDER]
_LAST: Final = [f"last_{name}" for name in _ORDER]

BARS_IN_MAKING: Final = pl.Schema(
    {
        "provider": pl.String,
        "symbol": pl.String,
        "window": pl.Int64,
        **{f"first_{name}": dtype for name, dtype in _ORDER.items()},
        "open": pl.Float64,
        **{f"last_{name}": dtype for name, dtype in _ORDER.items()},
        "close": pl.Float64,
        "high": pl.Float64,
        "low": pl.Float64,
        "volume": pl.Int128,
        "turnover": pl.Int128,
        "trades": pl.Int64,
        "revision": pl.Int64,
    }
)
_SCALE: Final = 1e9
_LIMB: Final = pl.Series([2**40], dtype=pl.Int128)


@dataclass(frozen=True, slots=True)
class Contributions:
    """What each event adds to its bar, and its place in the order; arrays of one length, in (offset, row) order.

    `volume` and `turnover` are whole numbers, in units of 1e-9.
    """

    events: pl.DataFrame
    window: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    turnover: Floats


def contributions(events: pl.DataFrame, window: Ints, rows: Ints) -> Contributions:
    """The contributions of some rows of events (schema EVENTS; no heartbeats), each to its window."""
    chosen = events.select("provider", "symbol", "kind", "src_ts", "c", "v", "seq", "offset", "row")[rows]
    close, volume = _price(chosen["c"]), chosen["v"].to_numpy()
    opening, high, low, price = close, close, close, close
    is_bar = (chosen["kind"] == "bar").to_numpy()
    if is_bar.any():
        opening, high, low = (np.where(is_bar, _price(events[name].gather(rows)), close) for name in "ohl")
        price = np.where(is_bar, (high + low + close) / 3.0, close)
    volumes, turnovers = np.rint(volume * _SCALE), np.rint(price * volume * _SCALE)
    return Contributions(chosen, window[rows], opening, high, low, close, volumes, turnovers)


def _price(prices: pl.Series) -> Floats:
    # -0.0 equals 0.0, so which of them is the extreme would depend on how the log was cut; adding 0.0 makes it 0.0.
    numbers: Floats = prices.to_numpy() + 0.0
    return numbers


def gathered(added: Contributions) -> pl.DataFrame:
    """One accumulator per KEY out of contributions."""
    order, starts, counts = _groups(added)
    ts, seq = added.events["src_ts"].to_numpy()[order], added.events["seq"].gather(order)
    first = order[_outermost(ts, seq, starts, counts, np.minimum)]
    last = order[_outermost(ts, seq, starts, counts, np.maximum)]
    ends = added.events.select("src_ts", "seq", "offset", "row")
    return pl.DataFrame(
        {
            "provider": added.events["provider"].gather(first),
            "symbol": added.events["symbol"].gather(first),
            "window": added.window[first],
            **dict(zip(_FIRST, ends[first], strict=True)),
            "open": added.open[first],
            **dict(zip(_LAST, ends[last], strict=True)),
            "close": added.close[last],
            "high": np.maximum.reduceat(added.high[order], starts),
            "low": np.minimum.reduceat(added.low[order], starts),
            "volume": _sums(added.volume[order], starts),
            "turnover": _sums(added.turnover[order], starts),
            "trades": counts,
            "revision": np.zeros(len(starts), np.int64),
        },
        schema=BARS_IN_MAKING,
    )


def _groups(added: Contributions) -> tuple[Ints, Ints, Ints]:
    """(rows of one KEY after the other, each in log order; where each KEY begins among them; how many rows it has)."""
    width = added.window.max() - added.window.min() + 1
    _, provider = codes(added.events["provider"])
    symbols, symbol = codes(added.events["symbol"])
    _, window = np.unique(added.window, return_inverse=True) if width > 1 else (None, np.zeros_like(symbol))
    key = (provider * len(symbols) + symbol) * (window.max() + 1) + window
    order = np.argsort(key.astype(np.min_scalar_type(key.max())), kind="stable")  # short numbers are sorted by radix
    ascending = key[order]
    starts = np.flatnonzero(np.diff(ascending, prepend=-1))
    return order, starts, np.diff(starts, append=len(order))


def _outermost(ts: Ints, seq: pl.Series, starts: Ints, counts: Ints, extreme: np.ufunc) -> Ints:
    """The first (by np.minimum) or last (by np.maximum) row of each group in the order (ts, seq, place)."""
    candidates = np.flatnonzero(ts == np.repeat(extreme.reduceat(ts, starts), counts))
    if len(candidates) == len(starts):
        return candidates
    group = np.repeat(np.arange(len(starts)), counts)[candidates]
    numbers = seq.gather(candidates)
    order = np.lexsort((numbers.fill_null(0).to_numpy(), numbers.is_not_null().to_numpy(), group))
    edge = np.diff(group, prepend=-1) if extreme is np.minimum else np.diff(group, append=len(starts))
    return candidates[order[np.flatnonzero(edge)]]


def _sums(numbers: Floats, starts: Ints) -> pl.Series:
    """Exact sums of whole numbers, group by group, as Int128: each number is cut, exactly, into three of 40 bits."""
    top = np.trunc(numbers * 2.0**-80)
    rest = numbers - top * 2.0**80
    middle = np.trunc(rest * 2.0**-40)
    low = rest - middle * 2.0**40
    total = pl.Series(np.add.reduceat(top.astype(np.int64), starts)).cast(pl.Int128)
    for part in (middle, low):
        total = total * _LIMB + pl.Series(np.add.reduceat(part.astype(np.int64), starts)).cast(pl.Int128)
    return total


def _one_each(added: Contributions) -> pl.DataFrame:
    """Each contribution as an accumulator of its own, with a revision of 1."""
    events, one = added.events, np.ones(len(added.window), np.int64)
    place = [events[name] for name in ("src_ts", "seq", "offset", "row")]
    return pl.DataFrame(
        {
            "provider": events["provider"],
            "symbol": events["symbol"],
            "window": added.window,
            **dict(zip(_FIRST, place, strict=True)),
            "open": added.open,
            **dict(zip(_LAST, place, strict=True)),
            "close": added.close,
            "high": added.high,
            "low": added.low,
            "volume": pl.Series(added.volume).cast(pl.Int128),
            "turnover": pl.Series(added.turnover).cast(pl.Int128),
            "trades": one,
            "revision": one,
        },
        schema=BARS_IN_MAKING,
    )


def combine(*parts: pl.DataFrame) -> pl.DataFrame:
    """One accumulator per KEY out of many."""
    together = pl.concat(parts)
    ends = (
        together.sort(_FIRST)
        .group_by(KEY)
        .agg(
            *(pl.col(name).first() for name in (*_FIRST, "open")),
            pl.col("high").max(),
            pl.col("low").min(),
            *(pl.col(name).sum() for name in ("volume", "turnover", "trades", "revision")),
        )
    )
    lasts = together.sort(_LAST).group_by(KEY).agg(pl.col(name).last() for name in (*_LAST, "close"))
    return ends.join(lasts, on=KEY).select(BARS_IN_MAKING.names())


def amendments(closed: pl.DataFrame, events: Contributions) -> pl.DataFrame:
    """The accumulator after each amending event, in the events' order, revision counted on.

    Running sums and extremes over the contributions of a bar, its closed state first: no step per event.
    """
    added = _one_each(events)
    before = closed.join(added.select(KEY).unique(), on=KEY, how="semi").select(BARS_IN_MAKING.names())
    together = pl.concat([before, added]).with_row_index("step")
    firsts, lasts = together.sort(_FIRST), together.sort(_LAST)
    ranked = together.with_columns(
        first_rank=firsts["step"].arg_sort(),
        last_rank=lasts["step"].arg_sort(),
    ).select(
        *KEY,
        pl.col("step"),
        pl.col("first_rank").cum_min().over(KEY),
        pl.col("last_rank").cum_max().over(KEY),
        pl.col("high").cum_max().over(KEY),
        pl.col("low").cum_min().over(KEY),
        *(pl.col(name).cum_sum().over(KEY) for name in ("volume", "turnover", "trades", "revision")),
    )
    ends = [
        *(firsts[name].gather(ranked["first_rank"]) for name in (*_FIRST, "open")),
        *(lasts[name].gather(ranked["last_rank"]) for name in (*_LAST, "close")),
    ]
    return ranked.with_columns(ends).slice(before.height).select(BARS_IN_MAKING.names())


def finished(bars: pl.DataFrame, window_ns: int, interval: str) -> pl.DataFrame:
    """Accumulators with their cause (offset, row) as bars: the integers become floats here, and nowhere else.

    NumPy divides: Polars multiplies by the reciprocal of what is one number, which differs in the last bit.
    """
    volume, turnover = (bars[name].cast(pl.Float64).to_numpy() for name in ("volume", "turnover"))
    vwap = np.divide(turnover, volume, out=np.full(len(volume), np.nan), where=volume != 0)
    return bars.select(
        "provider",
        "symbol",
        pl.lit(interval).alias("interval"),
        pl.col("window").alias("window_start"),
        (pl.col("window") + window_ns).alias("window_end"),
        "open",
        "high",
        "low",
        "close",
        pl.Series("volume", volume / _SCALE),
        pl.Series("vwap", vwap, nan_to_null=True),
        "trades",
        "revision",
        "offset",
        "row",
    ).match_to_schema(BARS)
