"""The limit on the series that a partition's state may hold; a series is a symbol of a provider.

Whoever writes to a topic chooses how many symbols there are, and bars, features and edges hold something of each. So an
event that would begin a series beyond the limit is rejected, as a function of the log alone.

A series counts for as long as later steps can hold anything of it: until a bar of its provider has left that is
`retained` windows newer. Instead of a time for each series, a provider has generations. A series belongs to the
generation of its last event, and those of the current and of the previous one count. A generation ends when a bar has
left that is `retained` windows newer than all events before that generation, which is when the series of the previous
one are out of reach. So all of them are forgotten at once, in a step that takes the same time for any number of them.

The first event of a provider after `retained` windows without one is admitted beyond the limit: without its bar, no
series of that provider could ever be forgotten.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt

from features.bars.accumulate import NOWHERE, Places
from features.bars.accumulators import table
from native.jit import compiled
from native.ordering import Ints

_NEVER: Final = -(2**62)  # before every window

SERIES: Final = np.dtype(
    [
        ("key", np.uint64),  # a hash of provider and symbol
        ("feed", np.int64),
        ("generation", np.int64),  # of its last event
    ]
)
CLOCK: Final = np.dtype(
    [
        ("generation", np.int64),
        ("young", np.int64),  # series of this generation
        ("old", np.int64),  # and of the one before
        ("latest", np.int64),  # window with an event
        ("pending", np.int64),  # a window with an event; once it is closed, its bar has left
        ("mark", np.int64),  # the latest window when this generation began
    ]
)
_NEW_CLOCK: Final = np.array((0, 0, 0, _NEVER, _NEVER, _NEVER), CLOCK)
_Series: TypeAlias = npt.NDArray[Any]  # of dtype SERIES
_Clocks: TypeAlias = npt.NDArray[Any]  # of dtype CLOCK, by the number of the provider
_ENTRIES, _LIVE = range(2)


class Admission(NamedTuple):
    """What `admit` reads and writes.

    Attributes:
        places: a hash table of the indices of `series`.
        series: with spare capacity; of those that no longer count, some are still there.
        counts: of the entries of `series`, and of those that count.
        most: how many may count.
        retained: windows.
    """

    places: Places
    series: _Series
    clocks: _Clocks
    counts: Ints
    most: int
    retained: int


class LiveSeriesState(TypedDict):
    """The series that count, and the clocks of all providers; the arrays are copies."""

    series: _Series
    clocks: _Clocks


class LiveSeries:
    """The series of a partition that count.

    Args:
        most: how many may.
        retained: the windows for which later steps can hold something of a series.
    """

    def __init__(self, most: int, retained: int) -> None:
        self._most, self._retained = most, retained
        self._clocks: _Clocks = np.zeros(0, CLOCK)
        self._keep(np.zeros(0, SERIES), 0)

    def admission(self, rows: int, providers: int) -> Admission:
        """Returns the series with capacity for as many new ones as there are rows, of that many providers."""
        new = providers - len(self._clocks)
        if new > 0:
            self._clocks = np.concatenate([self._clocks, np.full(new, _NEW_CLOCK)])
        if self._counts[_ENTRIES] + rows > len(self._series):
            self._keep(self._live(), rows)
        return Admission(self._places, self._series, self._clocks, self._counts, self._most, self._retained)

    def state(self) -> LiveSeriesState:
        """Copy what counts."""
        return LiveSeriesState(series=self._live(), clocks=self._clocks.copy())

    def restore(self, state: LiveSeriesState) -> None:
        """Continue from a state."""
        self._clocks = state["clocks"].copy()
        self._keep(state["series"], 0)

    def _live(self) -> _Series:
        series = self._series[: self._counts[_ENTRIES]]
        live: _Series = series[self._clocks["generation"][series["feed"]] - series["generation"] <= 1]
        return live

    def _keep(self, live: _Series, rows: int) -> None:
        """Takes over the series that count, with capacity for twice as many, and for rows."""
        self._counts = np.full(2, len(live))
        self._series = np.zeros(2 * (len(live) + rows), SERIES)
        self._series[: len(live)] = live
        self._places = table(len(self._series))
        _index(self._places, self._series, len(live))


@compiled
def is_noted(places: Places, series: _Series, clock: Any, event: tuple[int, np.uint64, int]) -> bool:
    """Whether `admit` would admit an event and change nothing, as for most: a look at the likeliest place.

    Its arguments are parts of an `Admission`, taken out of it once: in a loop that costs more than the look.
    """
    _, key, window = event
    index = places[np.int64(key) & (len(places) - 1)]
    if index == NOWHERE or window > clock.pending:
        return False
    return bool(series[index].key == key and series[index].generation == clock.generation)


@compiled
def admit(to: Admission, event: tuple[int, np.uint64, int], watermark: int, window_ns: int) -> bool:
    """Notes an event, and returns whether its series is admitted.

    Args:
        to: changes.
        event: the number of its provider, a hash of provider and symbol, and the number of its window.
        watermark: that of the provider before the event.
        window_ns: length of a window.
    """
    feed, key, window = event
    clock = to.clocks[feed]
    follows = window > clock.pending and (clock.pending == _NEVER or (clock.pending + 1) * window_ns <= watermark)
    if follows and clock.pending - clock.mark >= to.retained:
        _turn(clock, to.counts)
    place = _place(to.places, to.series, key)
    index = to.places[place]
    if index == NOWHERE or clock.generation - to.series[index].generation > 1:
        if to.counts[_LIVE] >= to.most and window - clock.latest < to.retained:
            return False
        if index == NOWHERE:
            index = to.places[place] = _append(to, feed, key)
        to.counts[_LIVE] += 1
        clock.young += 1
    elif to.series[index].generation < clock.generation:
        clock.old -= 1
        clock.young += 1
    series = to.series[index]
    series.generation = clock.generation
    clock.latest = max(clock.latest, window)
    if follows:
        clock.pending = window
    return True


@compiled
def _turn(clock: Any, counts: Ints) -> None:
    """Begins the next generation."""
    counts[_LIVE] -= clock.old
    clock.old, clock.young = clock.young, 0
    clock.generation += 1
    clock.mark = clock.latest


@compiled
def _append(to: Admission, feed: int, key: np.uint64) -> int:
    index = to.counts[_ENTRIES]
    to.counts[_ENTRIES] += 1
    series = to.series[index]
    series.key, series.feed = key, feed
    return int(index)


@compiled
def _index(places: Places, series: _Series, count: int) -> None:
    for index in range(count):
        places[_place(places, series, series[index].key)] = index


@compiled
def _place(places: Places, series: _Series, key: np.uint64) -> int:
    """The slot of the hash table that holds the index of a series, or is to hold it."""
    place = np.int64(key) & (len(places) - 1)
    while places[place] != NOWHERE and series[places[place]].key != key:
        place = (place + 1) & (len(places) - 1)
    return int(place)
