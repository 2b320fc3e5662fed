"""How events and accumulators add up, in loops over single ones: see `features.bars.accumulators` for what they are."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from features.bars.exact_sums import WORDS, add_product, add_size, add_sum
from native.jit import compiled
from native.keyed_hash import Key, absorb, begin, hash_of
from native.ordering import Ints

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Bars: TypeAlias = npt.NDArray[Any]  # of dtype ACCUMULATOR
Places = npt.NDArray[np.int32]  # a table of hashing: indices of bars
Table = tuple[Places, Key]

PLACE_PARTS: Final = 5
NOWHERE: Final = -1


class Contributions(NamedTuple):
    """What each event adds to its bar, and its place in the order; arrays of one length.

    What comes out of a column of events is `fixed`, and nothing else: for others Numba would compile all once more.
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
    price: Floats  # that volume is multiplied by
    volume: Floats


Values = TypeVar("Values", bound=npt.NDArray[Any])


def fixed(values: Values) -> Values:
    """Values that are not written to: those of a column without a copy are like that."""
    values.flags.writeable = False
    return values


_Place = tuple[int, int, int, int, int]


class _Single(NamedTuple):
    """What is known of an event, as numbers, which stay in registers."""

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


@compiled
def merge(ones: Bars, others: Bars, total: Bars) -> int:
    """Writes to `total` one accumulator for each bar out of two sets of them, all in order; how many."""
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
    """Writes to `bars` one accumulator for each bar that some events are of; how many."""
    (places, key), count, hashes = table, 0, np.empty(len(rows), np.uint64)
    for index, row in enumerate(rows):  # a loop of its own, in which several are worked out at once
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
    """Adds events to bars, after which there is room for one bar per event, and writes down the bar after each of them.

    How many bars there are then.
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
    """Where in a table the index of a bar is, or has to be."""
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
    # -0.0 equals 0.0, so which of them is the extreme would depend on how the log was cut; adding 0.0 makes it 0.0.
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
    )


@compiled
def _begin(bar: Any, single: _Single) -> None:
    """A bar that `single` belongs to, without anything in it yet."""
    bar.window, bar.feed, bar.symbol = single.window, single.feed, single.symbol
    bar.open, bar.high, bar.low, bar.close = single.open, single.high, single.low, single.close
    _copy(single.first, bar.first)
    _copy(single.last, bar.last)
    for word in range(WORDS):
        bar.volume[word] = bar.turnover[word] = 0
    bar.trades = bar.revision = 0


@compiled
def _add(bar: Any, other: Any) -> None:
    """Adds what another accumulator of the same bar holds."""
    _extend(bar, other)
    add_sum(bar.volume, other.volume)
    add_sum(bar.turnover, other.turnover)
    bar.trades += other.trades
    bar.revision += other.revision


# Two functions, as each is small enough to become part of the loop that calls it: to hand over an accumulator takes as
# long as to add it.
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


@compiled
def _precedes(one: Any, other: Any) -> bool:
    for part in range(PLACE_PARTS):
        if one[part] != other[part]:
            return bool(one[part] < other[part])
    return False


@compiled
def _copy(source: Any, target: Ints) -> None:
    for part in range(PLACE_PARTS):  # a slice would be looked at for overlap first
        target[part] = source[part]
