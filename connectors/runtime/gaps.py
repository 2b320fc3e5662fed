"""What is missing from the streams of a source: told from the messages alone, without a clock or a client.

A hole lies between the last message before it and the first one after it. It opens where a connection was made again,
where the connector was started again, and where numbers jump that have no holes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from contracts.payloads.gap import Reason
from normalize.envelopes import Accepted


class Series(NamedTuple):
    """The messages of one stream, such as trades.tick, about one symbol."""

    stream: str
    symbol: str


class Mark(NamedTuple):
    """A message of a series: when it happened, nanoseconds since the epoch, its event_id and the source's number."""

    time_ns: int
    event_id: str
    sequence: int | None = None


@dataclass(eq=False, slots=True)
class Hole:
    """A span in which messages may be missing.

    Attributes:
        before: the last message before it.
        after: the first message after it; None if none has come by `end_ns`.
        end_ns: its end, nanoseconds since the epoch.
        late: the numbers in it that have come after all.
    """

    series: Series
    before: Mark
    after: Mark | None
    end_ns: int
    reason: Reason
    late: set[int] = field(default_factory=set)

    @property
    def missing(self) -> range:
        """The numbers that lie in it, of a series without holes in them; empty where that is not known."""
        after = self.after
        if self.before.sequence is None or after is None or after.sequence is None:
            return range(0)
        return range(self.before.sequence + 1, after.sequence)

    @property
    def is_complete(self) -> bool:
        """Whether all that was missing has come late, out of order."""
        return bool(self.missing) and len(self.late) == len(self.missing)


class Tracker:
    """The state of all series of one source.

    Args:
        is_contiguous: whether the numbers of a stream have no holes, for each symbol by itself.
        marks: of the series that were taken in before, the last message; what lies between it and the first message
            from now on is a hole.
    """

    def __init__(self, is_contiguous: Callable[[str], bool], marks: Mapping[Series, Mark]) -> None:
        self._is_contiguous = is_contiguous
        self._last = dict(marks)
        self._cut: dict[Series, Reason] = dict.fromkeys(marks, "restart")
        self._sought: set[Series] = set()  # of these, those that `silent` has had
        self._open: dict[Series, list[Hole]] = {}

    def disconnected(self) -> None:
        """The connection is lost: what comes next may not follow what came last."""
        for series in self._last:
            self._cut.setdefault(series, "reconnect")
        self._sought.clear()

    def see(self, series: Series, mark: Mark) -> Hole | None:
        """Takes the next message of a series; returns the hole that it opens."""
        last = self._last.get(series)
        if last is None:
            self._last[series] = mark
            return None
        numbered = self._is_contiguous(series.stream) and last.sequence is not None and mark.sequence is not None
        opened = self._opened(series, last, mark, numbered=numbered)
        if opened is not None:
            self._open.setdefault(series, []).append(opened)
        if _is_later(mark, last, numbered=numbered):
            self._last[series] = mark
        elif series in self._open:
            self._note_late(series, mark)
        return opened

    def knows(self, series: Series) -> bool:
        """Whether a message of the series has come, or there is a position."""
        return series in self._last

    def silent(self, now_ns: int) -> list[Hole]:
        """The spans since the last message of series that have had none since the connection was lost, each once.

        What is found in them need not wait for the next message, which opens the hole that is to be filled.
        """
        holes = []
        for series, reason in self._cut.items():
            last = self._last[series]
            if series not in self._sought and now_ns > last.time_ns:
                holes.append(Hole(series, last, None, now_ns, reason))
                self._open.setdefault(series, []).append(holes[-1])
        self._sought |= self._cut.keys()
        return holes

    def close(self, hole: Hole, newest: Mark | None = None) -> None:
        """The hole is filled, or will never be: it holds the position no longer.

        Args:
            hole: that was opened.
            newest: the last of the messages that filled it, where none had come after it.
        """
        holes = self._open.get(hole.series, [])
        if hole in holes:
            holes.remove(hole)
        if not holes:
            self._open.pop(hole.series, None)
        if newest is not None and hole.after is None and self._last[hole.series] == hole.before:
            self._last[hole.series] = max(newest, hole.before)

    def positions(self) -> dict[Series, Mark]:
        """Of each series, the message up to which nothing is missing that is still being sought."""
        return {
            series: min((hole.before for hole in self._open.get(series, ())), default=last)
            for series, last in self._last.items()
        }

    @property
    def open_holes(self) -> int:
        """How many holes there are that have not been closed."""
        return sum(map(len, self._open.values()))

    def _opened(self, series: Series, last: Mark, mark: Mark, *, numbered: bool) -> Hole | None:
        reason = self._cut.get(series)
        if numbered:
            step = (mark.sequence or 0) - (last.sequence or 0)
            if step in (0, 1):
                self._cut.pop(series, None)  # it follows, or is the one that came last
            elif step > 1 or mark.time_ns > last.time_ns:  # lower ones of a later time: the source counts anew
                return self._hole(series, last, mark, self._cut.pop(series, "sequence"))
        elif reason is not None:
            if mark.event_id == last.event_id:
                del self._cut[series]
            elif mark.time_ns > last.time_ns:
                return self._hole(series, last, mark, self._cut.pop(series))
        return None

    def _note_late(self, series: Series, mark: Mark) -> None:
        for hole in self._open[series]:
            if mark.sequence is not None and mark.sequence in hole.missing:
                hole.late.add(mark.sequence)

    @staticmethod
    def _hole(series: Series, last: Mark, mark: Mark, reason: Reason) -> Hole:
        return Hole(series, last, mark, max(mark.time_ns, last.time_ns), reason)


def _is_later(mark: Mark, last: Mark, *, numbered: bool) -> bool:
    if numbered:
        return (mark.sequence or 0) > (last.sequence or 0) or mark.time_ns > last.time_ns
    return mark.time_ns >= last.time_ns


def marks_of(messages: Accepted) -> Iterator[tuple[Series, Mark]]:
    """Messages of one type as marks, in their order."""
    stream = str(messages.kind.event_type)
    columns = zip(messages.keys, messages.times, messages.event_ids, messages.sequences, strict=True)
    for symbol, time_ns, event_id, sequence in columns:
        yield Series(stream, symbol), Mark(time_ns, event_id, sequence)
