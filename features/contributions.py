"""What events add to their bars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from features.accumulators import (
    ACCUMULATOR,
    LIMB_BITS,
    ORDER,
    SCALE,
    Accumulators,
    BarIds,
    Bools,
    Floats,
    carried,
)
from features.ordering import Ints, ascending, group_starts


@dataclass(frozen=True, slots=True)
class Contributions:
    """What each event adds to its bar, and its place in the order; arrays of one length.

    `volume` and `turnover` are whole numbers, in units of 1e-9.
    """

    bar: BarIds
    ts: Ints
    has_seq: Bools
    seq: Ints
    offset: Ints
    row: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    turnover: Floats

    def order(self, rows: Ints) -> npt.NDArray[np.void]:
        """The place of some events in the order."""
        place = np.empty(len(rows), ORDER)
        for name in ORDER.names or ():
            place[name] = getattr(self, name)[rows]
        return place


def contributions(events: pl.DataFrame, bar: BarIds, rows: Ints) -> Contributions:
    """The contributions of some rows of events (schema EVENTS; no heartbeats), in the order of `rows`.

    `bar` is that of each event.
    """

    def taken(name: str) -> npt.NDArray[np.int64]:
        column: Ints = events[name].to_numpy()[rows]
        return column

    close, volume = _price(events["c"], rows), events["v"].to_numpy()[rows]
    opening, high, low, price = close, close, close, close
    is_bar = (events["kind"] == "bar").to_numpy()
    if is_bar.any():
        is_bar = is_bar[rows]
        opening, high, low = (np.where(is_bar, _price(events[name], rows), close) for name in "ohl")
        price = np.where(is_bar, (high + low + close) / 3.0, close)
    has_seq, seq = _numbers(events["seq"])
    return Contributions(
        bar=bar[rows],
        ts=taken("src_ts"),
        has_seq=has_seq[rows],
        seq=seq[rows],
        offset=taken("offset"),
        row=taken("row"),
        open=opening,
        high=high,
        low=low,
        close=close,
        volume=np.rint(volume * SCALE),
        turnover=np.rint(price * volume * SCALE),
    )


def _numbers(column: pl.Series) -> tuple[Bools, Ints]:
    """(where there is a number, the numbers)."""
    if not column.null_count():
        return np.ones(len(column), np.bool_), column.to_numpy()
    return column.is_not_null().to_numpy(), column.fill_null(0).to_numpy()


def _price(prices: pl.Series, rows: Ints) -> Floats:
    # -0.0 equals 0.0, so which of them is the extreme would depend on how the log was cut; adding 0.0 makes it 0.0.
    numbers: Floats = prices.to_numpy()[rows] + 0.0
    return numbers


def gathered(events: pl.DataFrame, bar: BarIds, rows: Ints) -> Accumulators:
    """One accumulator per bar out of some rows of events, in the order of their keys; `bar` is that of each event."""
    keys = bar[rows].keys()
    order = ascending(keys)  # rows of a bar stay in the order of the log
    starts = group_starts(keys[order])
    added = contributions(events, bar, rows[order])
    first, last = (_outermost(added, starts, extreme) for extreme in (np.minimum, np.maximum))
    bars = np.empty(len(starts), ACCUMULATOR)
    for name in ("window", "feed", "symbol"):
        bars[name] = getattr(added.bar, name)[starts]
    bars["first"], bars["last"] = added.order(first), added.order(last)
    bars["open"], bars["close"] = added.open[first], added.close[last]
    bars["high"], bars["low"] = np.maximum.reduceat(added.high, starts), np.minimum.reduceat(added.low, starts)
    bars["volume"], bars["turnover"] = (_sums(numbers, starts) for numbers in (added.volume, added.turnover))
    bars["trades"], bars["revision"] = np.diff(starts, append=len(rows)), 0
    return bars


def one_each(added: Contributions) -> Accumulators:
    """Each contribution as an accumulator of its own, with a revision of 1."""
    every = np.arange(len(added.ts))
    bars = np.empty(len(every), ACCUMULATOR)
    for name in ("window", "feed", "symbol"):
        bars[name] = getattr(added.bar, name)
    bars["first"] = bars["last"] = added.order(every)
    for name in ("open", "high", "low", "close"):
        bars[name] = getattr(added, name)
    bars["volume"], bars["turnover"] = (_sums(numbers, every) for numbers in (added.volume, added.turnover))
    bars["trades"] = bars["revision"] = 1
    return bars


def _outermost(added: Contributions, starts: Ints, extreme: np.ufunc) -> Ints:
    """The first (by np.minimum) or last (by np.maximum) row of each group in the order (ts, seq, place)."""
    counts = np.diff(starts, append=len(added.ts))
    candidates = np.flatnonzero(added.ts == np.repeat(extreme.reduceat(added.ts, starts), counts))
    if len(candidates) == len(starts):
        return candidates
    group = np.repeat(np.arange(len(starts)), counts)[candidates]
    order = np.lexsort((added.seq[candidates], added.has_seq[candidates], group))
    edge = np.diff(group, prepend=-1) if extreme is np.minimum else np.diff(group, append=len(starts))
    return candidates[order[np.flatnonzero(edge)]]


def _sums(numbers: Floats, starts: Ints) -> Ints:
    """Exact sums of whole numbers, group by group: each number is cut, exactly, into three limbs."""
    top = np.trunc(numbers * 2.0 ** (-2 * LIMB_BITS))
    rest = numbers - top * 2.0 ** (2 * LIMB_BITS)
    middle = np.trunc(rest * 2.0**-LIMB_BITS)
    low = rest - middle * 2.0**LIMB_BITS
    limbs = [np.add.reduceat(limb.astype(np.int64), starts) for limb in (low, middle, top)]
    return carried(np.stack(limbs, axis=1))
