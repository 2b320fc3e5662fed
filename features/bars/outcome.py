"""Classifies the rows of a batch: the order of the tests, and the watermark, which advances from row to row."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from features.bars.accumulate import fixed
from native.jit import compiled
from native.ordering import Ints

LATE: Final = "late"
HEARTBEAT: Final = "heartbeat"
OUTCOMES: Final = ("accepted", "amending", "duplicate", LATE, HEARTBEAT)
_NO_BAR: Final = -1
_NO_WATERMARK: Final = -(2**62)  # only the watermark of a provider without an event is below it
_ACCEPTED, _AMENDING, _DUPLICATE, _LATE, _HEARTBEAT = range(len(OUTCOMES))

OutcomeCodes = npt.NDArray[np.int8]  # index into OUTCOMES
Bools = npt.NDArray[np.bool_]


class Unclassified(NamedTuple):
    """Rows; arrays of one length.

    Attributes:
        times: `fixed`, no other array: Numba compiles once more for each other combination.
        end: of each row's window.
        feed: the number of its provider.
        fresh: whether it is an event with a new id.
    """

    times: Ints
    end: Ints
    feed: Ints
    fresh: Bools
    is_heartbeat: Bools


@compiled
def classify(rows: Unclassified, newest: Ints, allow_late_ns: int, amend_ns: int) -> tuple[Ints, Ints, OutcomeCodes]:
    """Returns (the newest time of each provider, the watermark at each row, including that row, each row's outcome).

    `newest` is the newest time of each provider before these rows.
    """
    newest = newest.copy()
    watermark, outcome = np.empty(len(rows.times), np.int64), np.empty(len(rows.times), np.int8)
    for row, feed in enumerate(rows.feed):
        if rows.fresh[row] or rows.is_heartbeat[row]:
            newest[feed] = max(newest[feed], rows.times[row])
        watermark[row] = newest[feed] - allow_late_ns
        if rows.is_heartbeat[row]:
            outcome[row] = _HEARTBEAT
        elif rows.end[row] + amend_ns < watermark[row]:
            outcome[row] = _LATE
        elif not rows.fresh[row]:
            outcome[row] = _DUPLICATE
        else:
            outcome[row] = _AMENDING if rows.end[row] <= watermark[row] else _ACCEPTED
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


_none, _nobody = np.zeros(0, np.int64), np.zeros(0, np.bool_)
# Loads the compiled code at import, rather than at the first use.
classify(Unclassified(fixed(np.zeros(0, np.int64)), _none, _none, _nobody, _nobody), _none, 0, 0)
leaps((_none, _none, _nobody), _none, 0)
counted(np.zeros(0, np.int8))
closing_rows((_none, _none), (_none, _none), 0)
