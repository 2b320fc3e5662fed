"""Which events may close a window, so that small fetches without one can wait for more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from contracts.record import Record
from contracts.timestamps import format_timestamp

_MOST_PROVIDERS: Final = 1_000  # which any record can name, also one that is rejected


class _Timed(msgspec.Struct):
    provider: str
    src_ts: str


_decode: Final = msgspec.json.Decoder(_Timed).decode


class ClosingTimes:
    """The end of the newest window of each provider of a partition, and its grace: what passes it may close windows.

    It is a guess, at JSON events in UTC before anybody has judged them: a wrong one costs a wait, or a batch more, and
    never changes a result. All else cannot wait.
    """

    def __init__(self, window_ns: int, allow_late_ns: int, max_future_ns: int) -> None:
        self._window_ns, self._allow_late_ns, self._max_future_ns = window_ns, allow_late_ns, max_future_ns
        self._next: dict[str, str] = {}  # as text, which is in the order of time

    def pass_one(self, records: Sequence[Record]) -> bool:
        """Whether one of the events passes it."""
        try:
            passes = [self._passes(record) for record in records]  # all of them: the end moves on with each
        except Exception:  # a record can hold anything
            return True
        return any(passes)

    def _passes(self, record: Record) -> bool:
        event = _decode(record.value() or b"")
        if not event.src_ts.endswith("Z"):
            return True
        if event.src_ts < self._next.get(event.provider, ""):
            return False
        time_ns = int(datetime.fromisoformat(event.src_ts).timestamp() * 1e9)
        if time_ns <= record.timestamp()[1] * 1_000_000 + self._max_future_ns:  # otherwise it will be rejected
            if len(self._next) == _MOST_PROVIDERS:
                self._next.clear()
            self._next[event.provider] = self._after(time_ns)
        return True

    def _after(self, time_ns: int) -> str:
        window = (time_ns - self._allow_late_ns) // self._window_ns + 1
        return format_timestamp(window * self._window_ns + self._allow_late_ns)
