"""Classifies the rows of a batch: the order of the tests, and the watermark, which advances from row to row."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from features.bars.accumulate import fixed
from features.bars.live_series import Admission, LiveSeries, admit, is_noted
from features.bars.seen_ids import SEEN
from native.jit import compiled
from native.ordering import Hashes, Ints

LATE: Final = "late"
HEARTBEAT: Final = "heartbeat"
REJECTED: Final = "rejected"
OUTCOMES: Final = ("accepted", "amending", "duplicate", LATE, HEARTBEAT, REJECTED)
_NO_BAR: Final = -1
_NO_WATERMARK: Final = -(2**62)  # only the watermark of a provider without an event is below it
_ACCEPTED, _AMENDING, _DUPLICATE, _LATE, _HEARTBEAT, _REJECTED = range(len(OUTCOMES))

OutcomeCodes = npt.NDArray[np.int8]  # index into OUTCOMES
Bools = npt.NDArray[np.bool_]


class Unclassified(NamedTuple):
    """Rows; arrays of one length.

    Attributes:
        times: `fixed`, no other array: Numba compiles once more for each other combination.
        window: its number.
        feed: the number of the provider.
        series: a hash of provider and symbol.
        first: the first row with the same id, or `SEEN` if an earlier batch had it, and for heartbeats.
    """

    times: Ints
    window: Ints
    feed: Ints
    series: Hashes
    first: Ints
    is_heartbeat: Bools


class Lengths(NamedTuple):
    """Of windows and waits, in nanoseconds."""

    window: int
    allow_late: int
    amend: int


@compiled
def classify(rows: Unclassified, newest: Ints, to: Admission, ns: Lengths) -> tuple[Ints, Ints, OutcomeCodes]:
    """Returns (the newest time of each provider, the watermark at each row, including that row, each row's outcome).

    `newest` is the newest time of each provider before these rows; `to` notes the series of those that are admitted.
    """
    newest, count = newest.copy(), len(rows.times)
    places, series, clocks = to.places, to.series, to.clocks
    watermark, outcome = np.empty(count, np.int64), np.empty(count, np.int8)
    admitted = np.zeros(count, np.bool_)  # of the first row with an id: whether a row with this id was
    for row, feed in enumerate(rows.feed):
        first, window, before = rows.first[row], rows.window[row], newest[feed] - ns.allow_late
        is_fresh = first != SEEN and not admitted[first]
        if is_fresh or rows.is_heartbeat[row]:
            newest[feed] = max(newest[feed], rows.times[row])
        watermark[row], end = newest[feed] - ns.allow_late, (window + 1) * ns.window
        event = feed, rows.series[row], window
        if rows.is_heartbeat[row]:
            outcome[row] = _HEARTBEAT
        elif end + ns.amend < watermark[row]:
            outcome[row] = _LATE
        elif not is_fresh:
            outcome[row] = _DUPLICATE
        elif is_noted(places, series, clocks[feed], event) or admit(to, event, before, ns.window):
            outcome[row] = _AMENDING if end <= watermark[row] else _ACCEPTED
            admitted[first] = True
        else:
            outcome[row], watermark[row], newest[feed] = _REJECTED, before, before + ns.allow_late
    return newest, watermark, outcome


@compiled
def leaps(rows: tuple[Ints, Ints, Bools], before: Ints, most_ns: int) -> Ints:
    """The largest advance of each provider's watermark by one event; 0 if none is more than `most_ns`.

    Args:
        rows: (the provider of each, the watermark there, whether it is an event).
        before: the watermark of each provider before these rows; the smallest integer if it had none.
        most_ns: the largest advance that is not reported.
    """
    (feeds, watermark, is_event), before = rows, before.copy()
    longest = np.zeros(len(before), np.int64)
    for row, feed in enumerate(feeds):
        if is_event[row] and before[feed] > _NO_WATERMARK and watermark[row] - before[feed] > most_ns:
            longest[feed] = max(longest[feed], watermark[row] - before[feed])
        before[feed] = watermark[row]
    return longest


@compiled
def counted(outcomes: OutcomeCodes) -> Ints:
    """The number of rows with each of OUTCOMES."""
    counts = np.zeros(len(OUTCOMES), np.int64)
    for outcome in outcomes:
        counts[outcome] += 1
    return counts


@compiled
def closing_rows(rows: tuple[Ints, Ints], bars: tuple[Ints, Ints], feeds: int) -> Ints:
    """For each bar the first row of its provider at which the watermark reached the bar's end.

    Args:
        rows: (the provider of each, the watermark there).
        bars: (the provider of each, its end), in the order of ends; each must have such a row.
        feeds: the number of providers.
    """
    (row_feed, watermark), (bar_feed, end) = rows, bars
    found, following, pending = np.zeros(len(end), np.int64), np.empty(len(end), np.int64), np.full(feeds, _NO_BAR)
    for bar in range(len(end) - 1, -1, -1):
        following[bar], pending[bar_feed[bar]] = pending[bar_feed[bar]], bar
    for row, feed in enumerate(row_feed):
        bar = pending[feed]
        while bar != _NO_BAR and watermark[row] >= end[bar]:
            found[bar] = row
            bar = following[bar]
        pending[feed] = bar
    return found


_none, _nobody, _nowhere = np.zeros(0, np.int64), np.zeros(0, np.bool_), np.zeros(0, np.uint64)
# Loads the compiled code at import, rather than at the first use.
_rows = Unclassified(fixed(np.zeros(0, np.int64)), _none, _none, _nowhere, _none, _nobody)
classify(_rows, _none, LiveSeries(1, 1).admission(0, 0), Lengths(1, 0, 0))
leaps((_none, _none, _nobody), _none, 0)
counted(np.zeros(0, np.int8))
closing_rows((_none, _none), (_none, _none), 0)
