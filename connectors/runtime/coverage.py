"""Whether what a source sends of the past fills a hole: shown by the messages themselves, not assumed.

It does where all numbers are there that are missing; or, in a series whose numbers have holes, where the messages on
both sides of the hole are there, too, as a source sends its past without leaving any out.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Final

from connectors.runtime.gaps import Hole, Mark, Series
from contracts.timestamps import format_timestamp


class Coverage:
    """What of a hole has been got.

    Attributes:
        newest: the last of its messages.
    """

    def __init__(self, hole: Hole) -> None:
        self._series: Final = hole.series
        self._before: Final = hole.before.event_id
        self._after: Final = None if hole.after is None else hole.after.event_id
        self._seen: set[str] = set()
        self._numbers: _Numbers | None = _Numbers(hole.missing) if hole.missing else None
        self._oldest_ns: int | None = None
        self.newest: Mark | None = None

    def add(self, series: Series, mark: Mark) -> None:
        """Takes a message that the source has sent again."""
        if series != self._series:
            return
        if mark.event_id in (self._before, self._after):
            self._seen.add(mark.event_id)
        if self._numbers is not None and mark.sequence is not None:
            self._numbers.add(mark.sequence)
        if self._oldest_ns is None or mark.time_ns < self._oldest_ns:
            self._oldest_ns = mark.time_ns
        if self.newest is None or mark.time_ns >= self.newest.time_ns:
            self.newest = mark

    @property
    def flaw(self) -> str | None:
        """Why the hole is not filled; None if it is."""
        if self._numbers is not None:
            first = self._numbers.first_missing
            return None if first is None else f"the source does not send number {first} again"
        if self._before not in self._seen:
            return self._begins_late()
        if self._after is not None and self._after not in self._seen:
            return "the source has not sent the message after it again"
        return None

    @property
    def may_come(self) -> bool:
        """Whether more may be there later: the present of a source is ahead of its past, which loses its begin."""
        return self._oldest_ns is None or self._before in self._seen or self._numbers is not None

    def _begins_late(self) -> str:
        if self._oldest_ns is None:
            return "the source sends nothing of it again"
        return f"the source sends nothing again from before {format_timestamp(self._oldest_ns)}"


class _Numbers:
    """Which of some numbers have not come yet: those that come in their order take no memory."""

    def __init__(self, wanted: range) -> None:
        self._next, self._end = wanted.start, wanted.stop
        self._ahead: list[int] = []

    def add(self, number: int) -> None:
        if self._next <= number < self._end:
            heappush(self._ahead, number)
        while self._ahead and self._ahead[0] <= self._next:
            self._next = max(self._next, heappop(self._ahead) + 1)

    @property
    def first_missing(self) -> int | None:
        return self._next if self._next < self._end else None
