"""Compiled loops that add events and accumulators to accumulators; see `features.bars.accumulators`."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from contracts.frames import BUY
from features.bars.exact_sums import WORDS, add_product, add_size, add_sum
from native.jit import compiled
from native.keyed_hash import Key, absorb, begin, hash_of
from native.ordering import Ints

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Sides = npt.NDArray[np.int8]
Bars: TypeAlias = npt.NDArray[Any]  # of dtype ACCUMULATOR
Places = npt.NDArray[np.int32]  # a hash table of indices of bars
Table = tuple[Places, Key]

PLACE_PARTS: Final = 5
NOWHERE: Final = -1


class Contributions(NamedTuple):
    """The contribution of each event to its bar, and its order; arrays of one length.

    Arrays from columns of events are `fixed`, no others: Numba compiles once more for each other combination.
    """

    window: Ints
    feed: Ints
    symbol: Ints
    ts: Ints
    has_seq: Bools
    seq: Ints
    offset: Ints
    row: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    price: Floats  # multiplied by the volume
    volume: Floats
    side: Sides  # of `contracts.frames`, 0 where it is not told


Values = TypeVar("Values", bound=npt.NDArray[Any])


def fixed(values: Values) -> Values:
    """Returns the values as a read-only array, like those of a column without a copy."""
    values.flags.writeable = False
    return values


_Place = tuple[int, int, int, int, int]


class _Single(NamedTuple):
    """The fields of an event as scalars, which stay in registers."""

    window: int
    feed: int
    symbol: int
    first: _Place
    last: _Place
    open: float
    high: float
    low: float
    close: float
    price: float
    volume: float
    side: int


@compiled
def merge(ones: Bars, others: Bars, total: Bars) -> int:
    """Merges two sorted sets of accumulators into `total`, one for each bar; returns how many."""
    one = other = count = 0
    while one < len(ones) or other < len(others):
        if other == len(others) or (one < len(ones) and _is_earlier(ones[one], others[other])):
            total[count] = ones[one]
            one += 1
        elif one == len(ones) or _is_earlier(others[other], ones[one]):
            total[count] = others[other]
            other += 1
        else:
            total[count] = ones[one]
            _add(total[count], others[other])
            one += 1
            other += 1
        count += 1
    return count


@compiled
def collect(events: Contributions, rows: Ints, table: Table, bars: Bars) -> int:
    """Writes to `bars` one accumulator for each bar of the events in `rows`; returns how many."""
    (places, key), count, hashes = table, 0, np.empty(len(rows), np.uint64)
    for index, row in enumerate(rows):  # a separate loop, so that several are computed at once
        hashes[index] = _hash(key, events.window[row], events.feed[row], events.symbol[row])
    for index, row in enumerate(rows):
        single = _single(events, row)
        place = _place(places, hashes[index], bars, single)
        if places[place] == NOWHERE:
            places[place] = count
            _begin(bars[count], single)
            count += 1
        _extend(bars[places[place]], single)
        _count(bars[places[place]], single)
    return count


@compiled
def amend(bars: Bars, events: Contributions, rows: Ints, table: Table, after: Bars) -> int:
    """Adds events to bars, whose array has capacity for one new bar per event, and writes the bar after each event.

    Returns the number of bars afterwards.
    """
    (places, key), count = table, len(bars) - len(rows)
    for known in range(count):
        bar = bars[known]
        places[_place(places, _hash(key, bar.window, bar.feed, bar.symbol), bars, bar)] = known
    for step, row in enumerate(rows):
        single = _single(events, row)
        place = _place(places, _hash(key, single.window, single.feed, single.symbol), bars, single)
        if places[place] == NOWHERE:
            places[place] = count
            _begin(bars[count], single)
            count += 1
        bar = bars[places[place]]
        _extend(bar, single)
        _count(bar, single)
        bar.revision += 1
        after[step] = bar
    return count


@compiled
def _hash(key: Key, window: int, feed: int, symbol: int) -> np.uint64:
    return hash_of(absorb(absorb(begin(key), np.uint64(window)), np.uint64((feed << 32) + symbol)))


@compiled
def _place(places: Places, hashed: np.uint64, bars: Bars, bar: Any) -> int:
    """The slot of the hash table that holds the index of a bar, or is to hold it."""
    place = int(np.int64(hashed)) & (len(places) - 1)
    while places[place] != NOWHERE and not _is_same(bars[places[place]], bar):
        place = (place + 1) & (len(places) - 1)
    return place


@compiled
def _is_same(one: Any, other: Any) -> bool:
    return bool(one.symbol == other.symbol and one.window == other.window and one.feed == other.feed)


@compiled
def _is_earlier(one: Any, other: Any) -> bool:
    if one.window != other.window:
        return bool(one.window < other.window)
    return bool(one.feed < other.feed if one.feed != other.feed else one.symbol < other.symbol)


@compiled
def _single(events: Contributions, row: int) -> _Single:
    """One event."""
    place = events.ts[row], int(events.has_seq[row]), events.seq[row], events.offset[row], events.row[row]
    # -0.0 equals 0.0, so which one is the extreme would depend on the cut of batches; adding 0.0 makes it 0.0.
    opening, high, low, close = events.open[row], events.high[row], events.low[row], events.close[row]
    return _Single(
        events.window[row],
        events.feed[row],
        events.symbol[row],
        place,
        place,
        opening + 0.0,
        high + 0.0,
        low + 0.0,
        close + 0.0,
        events.price[row],
        events.volume[row],
        events.side[row],
    )


@compiled
def _begin(bar: Any, single: _Single) -> None:
    """Initializes the empty bar that `single` belongs to."""
    bar.window, bar.feed, bar.symbol = single.window, single.feed, single.symbol
    bar.open, bar.high, bar.low, bar.close = single.open, single.high, single.low, single.close
    _copy(single.first, bar.first)
    _copy(single.last, bar.last)
    for word in range(WORDS):
        bar.volume[word] = bar.turnover[word] = bar.bought[word] = bar.sold[word] = 0
    bar.trades = bar.revision = bar.sided = 0


@compiled
def _add(bar: Any, other: Any) -> None:
    """Adds another accumulator of the same bar."""
    _extend(bar, other)
    add_sum(bar.volume, other.volume)
    add_sum(bar.turnover, other.turnover)
    if other.sided != 0:
        add_sum(bar.bought, other.bought)
        add_sum(bar.sold, other.sold)
        bar.sided += other.sided
    bar.trades += other.trades
    bar.revision += other.revision


# Two functions, as each is small enough to be inlined into the calling loop: passing an accumulator takes as long as
# adding it.
@compiled
def _extend(bar: Any, other: Any) -> None:
    if _precedes(other.first, bar.first):
        _copy(other.first, bar.first)
        bar.open = other.open
    if _precedes(bar.last, other.last):
        _copy(other.last, bar.last)
        bar.close = other.close
    bar.high, bar.low = max(bar.high, other.high), min(bar.low, other.low)


@compiled
def _count(bar: Any, single: _Single) -> None:
    add_size(bar.volume, single.volume)
    add_product(bar.turnover, single.price, single.volume)
    bar.trades += 1
    if single.side != 0:
        _count_side(bar, single)


@compiled
def _count_side(bar: Any, single: _Single) -> None:
    if single.side == BUY:
        add_size(bar.bought, single.volume)
    else:
        add_size(bar.sold, single.volume)
    bar.sided += 1


@compiled
def _precedes(one: Any, other: Any) -> bool:
    for part in range(PLACE_PARTS):
        if one[part] != other[part]:
            return bool(one[part] < other[part])
    return False


@compiled
def _copy(source: Any, target: Ints) -> None:
    for part in range(PLACE_PARTS):  # a slice would first be checked for overlap
        target[part] = source[part]
