"""The event ids of the windows that can still change.

An id is kept as 96 bits of hash over (provider, symbol, window, event_id), under keys that are random and part of the
state: who does not know them can neither make two ids one nor slow the table down. The ids lie in the order in which
they came, so that a snapshot is a view of them; a table of hashing says where each lies. An id can only be where others
of its window are, so most of a batch that catches up is looked up nowhere.
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
_Places = npt.NDArray[np.int32]  # a table of hashing: indices of ids
_Bools = npt.NDArray[np.bool_]
_Two = tuple[Hashes, Hashes]

_ODD: Final = np.uint64(0x9E3779B97F4A7C15)  # so that no two windows have the same multiple of it


class IdKeys(NamedTuple):
    """Of the hashes of which an id's is made: a provider, a symbol and an event_id of one name differ."""

    provider: Key
    symbol: Key
    event: Key

    @classmethod
    def new(cls) -> IdKeys:
        return cls(new_key(), new_key(), new_key())


class Ids(NamedTuple):
    """Event ids, a row each, by 96 bits of hash over (provider, symbol, window, event_id).

    Attributes:
        high, low: the hash.
        expiry: until which watermark each has to be remembered: equal for all ids of a window.
    """

    high: _Short
    low: _Long
    expiry: Ints

    @classmethod
    def of(cls, events: _Two, bar: BarIds, providers: Providers, symbols: Symbols, expiry: Ints) -> Ids:
        """The ids of events, given the hashes of their event_ids, each in its bar."""
        numbers = bar.window, bar.feed, bar.symbol
        high, low = _summed(events, providers.hashes(), symbols.hashes(), numbers)
        return cls(high, low, expiry)


SeenState = tuple[_Short, _Long, Ints, Ints]  # high, low, expiry, provider: see _Known


class _Known(NamedTuple):
    """Ids, and until which watermark of which provider each has to be remembered; arrays of one length."""

    high: _Short
    low: _Long
    expiry: Ints
    provider: Ints

    def some(self, which: slice | _Bools) -> _Known:
        return _Known(self.high[which], self.low[which], self.expiry[which], self.provider[which])

    def with_room(self, count: int) -> _Known:
        """A copy, as long as that."""
        new = _Known(np.empty(count, np.uint32), np.empty(count, np.uint64), *np.empty((2, count), np.int64))
        new.high[: len(self.high)], new.low[: len(self.low)] = self.high, self.low
        new.expiry[: len(self.expiry)], new.provider[: len(self.provider)] = self.expiry, self.provider
        return new


_NONE: Final = _Known(np.zeros(0, np.uint32), np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64))


class SeenIds:
    """A set of ids that forgets them when their provider's watermark has passed their expiry."""

    def __init__(self) -> None:
        self._known, self._count = _NONE, 0  # what lies after the count is room
        self._newest: int  # the largest expiry
        self._places: _Places
        self._index_all(_NONE)

    def __len__(self) -> int:
        return self._count

    def fresh(self, ids: Ids, rows: Ints) -> _Bools:
        """Which of the ids are among `rows`, come for the first time there, and are not in the set.

        An id may linger in the set after its expiry.
        """
        return _fresh((self._places, table(len(rows))), self._known, self._newest, ids, rows)

    def add(self, ids: Ids, rows: Ints, provider: Ints, watermarks: Ints) -> None:
        """Adds the ids of `rows`, none of them in the set; `provider`, of all rows, is an index into `watermarks`.

        What has expired by now is left out: of a batch that catches up that is most.
        """
        rows = _lasting(ids.expiry, provider, watermarks, rows)
        if not len(rows):
            return
        if self._count + len(rows) > len(self._known.high):
            # A copy, so that what a snapshot shows stays as it is.
            self._known = self._known.with_room(3 * (self._count + len(rows)) // 2)
            self._places = table(len(self._known.high))
            _index(self._places, self._known, 0, self._count)
        _append(self._known, self._count, ids, rows, provider)
        _index(self._places, self._known, self._count, self._count + len(rows))
        self._count += len(rows)
        self._newest = max(self._newest, int(ids.expiry[rows].max()))

    def forget(self, watermarks: Ints) -> None:
        """Drops what has expired, once it is worth the copying."""
        known = self._known.some(slice(self._count))
        if 2 * _expired(known.expiry, known.provider, watermarks) > self._count:
            self._index_all(known.some(known.expiry >= watermarks[known.provider]))

    def snapshot(self) -> SeenState:
        """A view of the ids: what is added later lies after them, or in a copy."""
        known = self._known.some(slice(self._count))
        return known.high, known.low, known.expiry, known.provider

    def restore(self, state: SeenState) -> None:
        """Go on from a snapshot."""
        self._index_all(_Known(*state))

    def _index_all(self, known: _Known) -> None:
        self._known, self._count = known, len(known.high)
        self._newest = int(known.expiry.max(initial=-(2**63)))
        self._places = table(self._count)
        _index(self._places, self._known, 0, self._count)


@compiled
def _summed(events: _Two, providers: _Two, symbols: _Two, bar: tuple[Ints, Ints, Ints]) -> tuple[_Short, _Long]:
    """Sums of hashes that know nothing of each other, which are as good as a hash of all of it."""
    (event_high, event_low), (feed_high, feed_low), (symbol_high, symbol_low) = events, providers, symbols
    windows, numbers, symbol_numbers = bar
    high, low = np.empty(len(windows), np.uint32), np.empty(len(windows), np.uint64)
    for row in range(len(windows)):
        feed, symbol, window = numbers[row], symbol_numbers[row], np.uint64(windows[row]) * _ODD
        high[row] = (event_high[row] + feed_high[feed] + symbol_high[symbol] + window) >> np.uint64(32)
        low[row] = event_low[row] + feed_low[feed] + symbol_low[symbol] + window
    return high, low


@compiled
def _fresh(tables: tuple[_Places, _Places], known: _Known, newest: int, ids: Ids, rows: Ints) -> _Bools:
    places, places_in_batch = tables
    highs, lows, expiry = ids
    known_highs, known_lows, _, _ = known
    fresh = np.zeros(len(highs), np.bool_)
    for row in rows:
        high, low = highs[row], lows[row]
        place = _place(places_in_batch, highs, lows, high, low)
        if places_in_batch[place] == NOWHERE:
            places_in_batch[place] = row
            is_new = expiry[row] > newest
            fresh[row] = is_new or places[_place(places, known_highs, known_lows, high, low)] == NOWHERE
    return fresh


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
    """Where in a table the index of an id is, or has to be."""
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
    """Loads the compiled code now, rather than when it is needed."""
    rows, seen = np.zeros(1, np.int64), SeenIds()
    ids = Ids(np.zeros(1, np.uint32), np.zeros(1, np.uint64), rows)
    _summed((ids.low, ids.low), (ids.low, ids.low), (ids.low, ids.low), (rows, rows, rows))
    seen.add(ids, np.flatnonzero(seen.fresh(ids, rows)), rows, rows)
    seen.forget(rows)


_warm_up()
