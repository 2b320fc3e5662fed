"""The outcomes of all events under many graces (`allow_late_ms`) at once, counted exactly in one pass.

The newest event time of a provider does not depend on the grace: late events and duplicates never advance it. So one
number determines the outcome of an event under any grace: how far the newest event was past the end of its window. And
an id whose window can still change under one grace is kept under all larger graces, so an event that is not late under
a grace is a duplicate under it exactly if its id has occurred before.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.batch import Outcomes
from native.ordering import Ints

LADDER_MS: Final = (0, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)
LONGEST_MS: Final = 10_000  # of the graces tried: ids have to be remembered that long
_NS: Final = 1_000_000

_Bools = npt.NDArray[np.bool_]


def readable(longest_ms: int) -> list[int]:
    """Round numbers up to `longest_ms`: 0 to 20, 25, 30 … 100, then 110, 120 … 200, 250 …"""
    digits = [*range(10, 20), *range(20, 100, 5)]
    tenfold = [number * 10**power for power in range(len(str(longest_ms))) for number in digits]
    return [*range(min(longest_ms + 1, 10)), *(number for number in tenfold if number <= longest_ms)]


class Graces:
    """Counts of outcomes under each grace.

    Args:
        graces_ms: the graces, in any order.
        amend_ns: how long a closed window can still be corrected.
    """

    def __init__(self, graces_ms: list[int], amend_ns: int) -> None:
        self.all_ms = sorted(set(graces_ms))
        self._closed_after = np.array(self.all_ms, np.int64) * _NS
        self._late_after = self._closed_after + amend_ns
        # For each number n: how many events reach a closed window, or are late, under exactly the first n graces.
        self._closed, self._late, self._repeats_late = np.zeros((3, len(self.all_ms) + 1), np.int64)

    @property
    def longest_ms(self) -> int:
        return self.all_ms[-1]

    def add(self, past_end: Ints, is_repeat: _Bools) -> None:
        """Counts events.

        Args:
            past_end: how far the newest event, including this one, lay past the end of each event's window, in
                nanoseconds; mostly below 0.
            is_repeat: whether the event's id had occurred before; meaningless if it is late under every grace.
        """
        late = np.searchsorted(self._late_after, past_end, side="left")
        closed = np.searchsorted(self._closed_after, past_end, side="right")
        size = len(self._closed)
        self._closed += np.bincount(closed[~is_repeat], minlength=size)
        self._late += np.bincount(late[~is_repeat], minlength=size)
        self._repeats_late += np.bincount(late[is_repeat], minlength=size)

    def outcomes(self, grace_ms: int) -> Outcomes:
        """The outcomes of the events under one of the graces."""
        first = self.all_ms.index(grace_ms) + 1
        new, repeated = int(self._late.sum()), int(self._repeats_late.sum())
        closed = int(self._closed[first:].sum())
        late, repeats_late = int(self._late[first:].sum()), int(self._repeats_late[first:].sum())
        return Outcomes(
            accepted=new - closed,
            amending=closed - late,
            duplicate=repeated - repeats_late,
            late=late + repeats_late,
        )

    def misses(self) -> Ints:
        """The number of amending or late events under each grace."""
        above = np.cumsum((self._closed + self._repeats_late)[::-1])[::-1]
        return above[1:]

    def smallest_ms(self, most: float) -> int | None:
        """The smallest grace under which at most the share `most` of the events is amending or late; else None."""
        enough = np.flatnonzero(self.misses() <= most * (self._late.sum() + self._repeats_late.sum()))
        return self.all_ms[int(enough[0])] if len(enough) else None
