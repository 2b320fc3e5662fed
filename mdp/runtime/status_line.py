"""What a run says of itself: a line every few seconds to who sits before it, and a warning of what costs results."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from telemetry.status import Status, status

_EVERY_SECONDS: Final = 5.0
_UNCHANGED_SECONDS: Final = 60.0  # that long nothing is said while there is nothing new
_LATE_SHARE: Final = 0.01
_ENOUGH_EVENTS: Final = 10_000  # to judge by
_WARNED_EVERY_SECONDS: Final = 600.0

log = logging.getLogger("mdp.status")


@contextmanager
def said(*, quiet: bool) -> Iterator[None]:
    """While it goes on: the line where standard error is a terminal, unless `quiet`; warnings wherever it is."""
    ended, says = threading.Event(), _Says(shows=sys.stderr.isatty() and not quiet)
    thread = threading.Thread(target=says.until, args=[ended], name="status-line", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class _Says:
    def __init__(self, *, shows: bool) -> None:
        self._shows = shows
        self._last, self._last_at = status(), time.monotonic()
        self._judged, self._warned_at = self._last, float("-inf")
        self._said_at = float("-inf")

    def until(self, ended: threading.Event) -> None:
        while not ended.wait(_EVERY_SECONDS):
            now = status()
            if self._shows:
                self._say(now)
            self._judge(now, _ENOUGH_EVENTS)
        self._judge(status(), _ENOUGH_EVENTS // 10)

    def _say(self, now: Status) -> None:
        at = time.monotonic()
        if now != self._last or at - self._said_at > _UNCHANGED_SECONDS:
            log.info("%s", line(now, (now.events - self._last.events) / (at - self._last_at)))
            self._said_at = at
        self._last, self._last_at = now, at

    def _judge(self, now: Status, least: int) -> None:
        events, late = now.events - self._judged.events, now.late - self._judged.late
        if events < least:
            return
        self._judged = now
        if late > _LATE_SHARE * events and time.monotonic() - self._warned_at > _WARNED_EVERY_SECONDS:
            self._warned_at = time.monotonic()
            log.warning(
                "%.1f %% of the last %s events came too late for their bars: `mdp stream lateness` shows how late, "
                "and of which providers; raise micro_batch.allow_late_ms or micro_batch.amend_ms",
                100 * late / events,
                f"{events:,}",
            )


def line(now: Status, rate: float) -> str:
    """One line; `rate` in events per second."""
    share = 100 * now.late / now.events if now.events else 0.0
    text = (
        f"{rate:,.0f} events/s, {now.lag_ms / 1e3:,.1f} s behind, {share:.2f} % late, "
        f"{now.bars:,} bars, {now.signals:,} signals"
    )
    return f"{text}; waiting for {' and '.join(now.waiting)}" if now.waiting else text


def warn_of_idle(workers: int, partitions: int) -> None:
    """Says so where there are more workers than partitions."""
    if workers > partitions:
        log.warning(
            "more workers (%d) than partitions (%d): what is more has nothing to read; take --workers %d, "
            "or give the topic more partitions",
            workers,
            partitions,
            partitions,
        )
