"""Which events may close a window, so that small fetches without one can wait for more."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import polars as pl

from contracts.timestamps import format_timestamps, parse_timestamp


class _Timed(msgspec.Struct):
    src_ts: str


_decode = msgspec.json.Decoder(_Timed).decode


class ClosingTimes:
    """The end of the newest window of a partition, and its grace: the next one to pass it may close windows.

    It is a guess, at the text of JSON events and over all providers: a wrong one costs a wait, or a batch more, and
    never changes a result.
    """

    def __init__(self, window_ns: int, allow_late_ns: int) -> None:
        self._window_ns, self._allow_late_ns = window_ns, allow_late_ns
        self._next = ""  # as text: in the order of time, as long as all are in UTC

    def pass_one(self, payloads: Sequence[bytes | None]) -> bool:
        """Whether one of the events passes it. What is no JSON event may do anything."""
        try:
            newest = max(_decode(payload or b"").src_ts for payload in payloads)
            if newest < self._next:
                return False
            self._next = self._after(parse_timestamp(newest))
        except ValueError:
            pass
        return True

    def _after(self, time_ns: int) -> str:
        window = (time_ns - self._allow_late_ns) // self._window_ns + 1
        text: str = format_timestamps(pl.Series([window * self._window_ns + self._allow_late_ns]))[0]
        return text
