"""The event ids of the windows that can still change, for deduplication.

An id is kept as a 96-bit hash of (provider, symbol, window, event_id), under random keys that are part of the state:
without them a sender can neither craft colliding ids nor slow the hash table down. The ids are stored in order of
arrival, so that a snapshot is a view of them; a hash table gives the index of each. An id is looked up only if other
ids of its window may exist, so most ids of a batch that catches up need no look-up.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from features.bars.accumulate import NOWHERE
from features.bars.accumulators import BarIds, table
from features.bars.providers import Providers
from features.bars.symbols import Symbols
from native.jit import compiled
from native.keyed_hash import Key, new_key
from native.ordering import Hashes, Ints

_Short = npt.NDArray[np.uint32]
_Long = npt.NDArray[np.uint64]
_Places = npt.NDArray[np.int32]  # a hash table of indices of ids
_Bools = npt.NDArray[np.bool_]
_Two = tuple[Hashes, Hashes]

SEEN: Final = -1

_ODD: Final = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no two windows have the same multiple of it


class IdKeys(NamedTuple):
    """Keys of the hashes in an id: they differ for a provider, a symbol and an event_id of the same name."""

    provider: Key
    symbol: Key
    event: Key

    @classmethod
    def new(cls) -> IdKeys:
        return cls(new_key(), new_key(), new_key())


class Ids(NamedTuple):
    """Event ids, one per row, as 96-bit hashes of (provider, symbol, window, event_id).

    Attributes:
        high, low: the hash.
        expiry: the watermark until which each is remembered: equal for all ids of a window.
    """

    high: _Short
    low: _Long
    expiry: Ints

    @classmethod
    def of(cls, events: _Two, bar: BarIds, providers: Providers, symbols: Symbols, expiry: Ints) -> Ids:
        """The ids of events, from the hashes of their event_ids and their bars."""
        numbers = bar.window, bar.feed, bar.symbol
        high, low = _summed(events, providers.hashes(), symbols.hashes(), numbers)
        return cls(high, low, expiry)


SeenState = tuple[_Short, _Long, Ints, Ints]  # high, low, expiry, provider: see _Known


class _Known(NamedTuple):
    """Ids, with the provider and the watermark until which each is remembered; arrays of one length."""

    high: _Short
    low: _Long
    expiry: Ints
    provider: Ints

    def some(self, which: slice | _Bools) -> _Known:
        return _Known(self.high[which], self.low[which], self.expiry[which], self.provider[which])

    def with_room(self, count: int) -> _Known:
        """A copy of length `count`."""
        new = _Known(np.empty(count, np.uint32), np.empty(count, np.uint64), *np.empty((2, count), np.int64))
        new.high[: len(self.high)], new.low[: len(self.low)] = self.high, self.low
        new.expiry[: len(self.expiry)], new.provider[: len(self.provider)] = self.expiry, self.provider
        return new


_NONE: Final = _Known(np.zeros(0, np.uint32), np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64))


class SeenIds:
    """A set of ids that forgets them when their provider's watermark has passed their expiry."""

    def __init__(self) -> None:
        self._known, self._count = _NONE, 0  # the rest of the arrays is spare capacity
        self._newest: int  # the largest expiry
        self._places: _Places
        self._index_all(_NONE)

    def __len__(self) -> int:
        return self._count

    def first(self, ids: Ids, rows: Ints) -> Ints:
        """For each of `rows` the first one with the same id; `SEEN` if the set has it, and for all other rows.

        An id may stay in the set beyond its expiry.
        """
        return _first((self._places, table(len(rows))), self._known, self._newest, ids, rows)

    def fresh(self, ids: Ids, rows: Ints) -> _Bools:
        """Which of the ids are in `rows`, occur there for the first time, and are not in the set."""
        fresh: _Bools = self.first(ids, rows) == np.arange(len(ids.high))
        return fresh

    def add(self, ids: Ids, rows: Ints, provider: Ints, watermarks: Ints) -> None:
        """Adds the ids of `rows`, which must not be in the set; `provider` of every row is an index into `watermarks`.

        Ids that have already expired are skipped: most ids of a batch that catches up.
        """
        rows = _lasting(ids.expiry, provider, watermarks, rows)
        if not len(rows):
            return
        if self._count + len(rows) > len(self._known.high):
            # A copy, so that snapshots do not change.
            self._known = self._known.with_room(3 * (self._count + len(rows)) // 2)
            self._places = table(len(self._known.high))
            _index(self._places, self._known, 0, self._count)
        _append(self._known, self._count, ids, rows, provider)
        _index(self._places, self._known, self._count, self._count + len(rows))
        self._count += len(rows)
        self._newest = max(self._newest, int(ids.expiry[rows].max()))

    def forget(self, watermarks: Ints) -> None:
        """Drops expired ids, once there are enough of them to justify the copy."""
        known = self._known.some(slice(self._count))
        if 2 * _expired(known.expiry, known.provider, watermarks) > self._count:
            self._index_all(known.some(known.expiry >= watermarks[known.provider]))

    def snapshot(self) -> SeenState:
        """A view of the ids: later ones are stored after it, or in a copy."""
        known = self._known.some(slice(self._count))
        return known.high, known.low, known.expiry, known.provider

    def restore(self, state: SeenState) -> None:
        """Continue from a snapshot."""
        self._index_all(_Known(*state))

    def _index_all(self, known: _Known) -> None:
        self._known, self._count = known, len(known.high)
        self._newest = int(known.expiry.max(initial=-(2**63)))
        self._places = table(self._count)
        _index(self._places, self._known, 0, self._count)


@compiled
def _summed(events: _Two, providers: _Two, symbols: _Two, bar: tuple[Ints, Ints, Ints]) -> tuple[_Short, _Long]:
    """Sums of independent hashes, which are as good as one hash of all parts."""
    (event_high, event_low), (feed_high, feed_low), (symbol_high, symbol_low) = events, providers, symbols
    windows, numbers, symbol_numbers = bar
    high, low = np.empty(len(windows), np.uint32), np.empty(len(windows), np.uint64)
    for row in range(len(windows)):
        feed, symbol, window = numbers[row], symbol_numbers[row], np.uint64(windows[row]) * _ODD
        high[row] = (event_high[row] + feed_high[feed] + symbol_high[symbol] + window) >> np.uint64(32)
        low[row] = event_low[row] + feed_low[feed] + symbol_low[symbol] + window
    return high, low


@compiled
def _first(tables: tuple[_Places, _Places], known: _Known, newest: int, ids: Ids, rows: Ints) -> Ints:
    places, places_in_batch = tables
    highs, lows, expiry = ids
    known_highs, known_lows, _, _ = known
    first = np.full(len(highs), SEEN)
    for row in rows:
        high, low = highs[row], lows[row]
        place = _place(places_in_batch, highs, lows, high, low)
        if places_in_batch[place] != NOWHERE:
            first[row] = first[places_in_batch[place]]
            continue
        places_in_batch[place] = row
        if expiry[row] > newest or places[_place(places, known_highs, known_lows, high, low)] == NOWHERE:
            first[row] = row
    return first


@compiled
def _lasting(expiry: Ints, provider: Ints, watermarks: Ints, rows: Ints) -> Ints:
    lasting, count = np.empty(len(rows), np.int64), 0
    for row in rows:
        lasting[count] = row
        count += expiry[row] >= watermarks[provider[row]]
    return lasting[:count]


@compiled
def _append(known: _Known, count: int, ids: Ids, rows: Ints, provider: Ints) -> None:
    highs, lows, expiries, providers = known
    new_highs, new_lows, new_expiries = ids
    for index, row in enumerate(rows):
        highs[count + index], lows[count + index] = new_highs[row], new_lows[row]
        expiries[count + index], providers[count + index] = new_expiries[row], provider[row]


@compiled
def _index(places: _Places, known: _Known, start: int, stop: int) -> None:
    highs, lows, _, _ = known
    for index in range(start, stop):
        places[_place(places, highs, lows, highs[index], lows[index])] = index


@compiled
def _place(places: _Places, highs: _Short, lows: _Long, high: int, low: int) -> int:
    """The slot of the hash table that holds the index of an id, or is to hold it."""
    place = int(high) & (len(places) - 1)
    while True:
        index = places[place]
        if index == NOWHERE or (lows[index] == low and highs[index] == high):
            return place
        place = (place + 1) & (len(places) - 1)


@compiled
def _expired(expiry: Ints, provider: Ints, watermarks: Ints) -> int:
    count = 0
    for index in range(len(expiry)):
        count += expiry[index] < watermarks[provider[index]]
    return count


def _warm_up() -> None:
    """Loads the compiled code at import, rather than at the first use."""
    rows, seen = np.zeros(1, np.int64), SeenIds()
    ids = Ids(np.zeros(1, np.uint32), np.zeros(1, np.uint64), rows)
    _summed((ids.low, ids.low), (ids.low, ids.low), (ids.low, ids.low), (rows, rows, rows))
    seen.add(ids, np.flatnonzero(seen.fresh(ids, rows)), rows, rows)
    seen.forget(rows)


_warm_up()
