"""What becomes of each row of a batch: the order of the tests, and the watermark that moves from row to row."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from contracts.jit import compiled
from features.ordering import Ints

LATE: Final = "late"
HEARTBEAT: Final = "heartbeat"
OUTCOMES: Final = ("accepted", "amending", "duplicate", LATE, HEARTBEAT)
_ACCEPTED, _AMENDING, _DUPLICATE, _LATE, _HEARTBEAT = range(len(OUTCOMES))

Judged = npt.NDArray[np.int8]  # index into OUTCOMES
_Bools = npt.NDArray[np.bool_]


class Unjudged(NamedTuple):
    """Rows; arrays of one length.

    Attributes:
        end: of each row's window.
        feed: the number of its provider.
        fresh: whether it is an event with an id that was not there before.
    """

    times: Ints
    end: Ints
    feed: Ints
    fresh: _Bools
    is_heartbeat: _Bools


@compiled
def judged(rows: Unjudged, newest: Ints, allow_late_ns: int, amend_ns: int) -> tuple[Ints, Ints, Judged]:
    """(the newest time of each provider, its watermark at each row, that row's time included, each row's outcome).

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


_none, _nobody = np.zeros(0, np.int64), np.zeros(0, np.bool_)
# Loads the compiled code now, rather than when it is needed.
judged(Unjudged(_none, _none, _none, _nobody, _nobody), _none, 0, 0)
