"""Paces sending: chunks are cut into slices, each released when it is due.

Overdue slices are released at once, in order: a slow consumer shows as delay, never as a lower load.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

# Shorter slices cost more than they gain.
_SHORTEST_WAIT: Final = 0.01


class Clock(Protocol):
    """The wall clock, and waiting that a stop interrupts."""

    def now(self) -> int:
        """Nanoseconds since the Unix epoch."""
        ...

    def steady(self) -> int:
        """Nanoseconds of the monotonic clock."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait `seconds`, or until a stop."""
        ...

    def stopped(self) -> bool:
        """Whether a stop was requested."""
        ...


class WallClock:
    """The machine's clock, stopped by an event that a signal handler may set."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def now(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return time.time_ns()

    def steady(self) -> int:
        """Nanoseconds of the monotonic clock."""
        return time.monotonic_ns()

    def wait(self, seconds: float) -> None:
        """Wait `seconds`, or until a stop."""
        self._stop.wait(seconds)

    def stopped(self) -> bool:
        """Whether a stop was requested."""
        return self._stop.is_set()


def at_once(chunks: Iterable[pl.DataFrame], clock: Clock) -> Iterator[pl.DataFrame]:
    """Yield whole chunks as fast as they are consumed, until they end or the clock is stopped."""
    for chunk in chunks:
        if clock.stopped():
            return
        yield chunk


def at_arrival(chunks: Iterable[pl.DataFrame], clock: Clock) -> Iterator[pl.DataFrame]:
    """Yield the rows of OUTGOING frames at their `arrival` times, until they end or the clock is stopped."""
    for chunk in chunks:
        yield from _released(chunk, chunk["arrival"].to_numpy(), clock, clock.now)
        if clock.stopped():
            return


def at_rate(chunks: Iterable[pl.DataFrame], rate: float, clock: Clock) -> Iterator[pl.DataFrame]:
    """Yield the rows of OUTGOING frames evenly, `rate` rows per second, until they end or the clock is stopped."""
    start, sent = clock.steady(), 0
    for chunk in chunks:
        due = start + ((sent + np.arange(chunk.height)) * (1e9 / rate)).astype(np.int64)
        yield from _released(chunk, due, clock, clock.steady)
        sent += chunk.height
        if clock.stopped():
            return


def _released(
    rows: pl.DataFrame, due: npt.NDArray[np.int64], clock: Clock, time_of: Callable[[], int]
) -> Iterator[pl.DataFrame]:
    """Yield slices of `rows` at their ascending `due` times by `time_of`; ingest_ts is the wall clock then."""
    released = 0
    while not clock.stopped():
        ready = int(np.searchsorted(due, time_of(), side="right"))
        if ready > released:
            now = clock.now()
            yield rows.slice(released, ready - released).with_columns(ingest_ts=pl.lit(now, pl.Int64))
            released = ready
        if released == rows.height:
            return
        clock.wait(max((int(due[released]) - time_of()) / 1e9, _SHORTEST_WAIT))
