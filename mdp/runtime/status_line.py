"""The status of a run: a line on the terminal every few seconds, and warnings of lost results."""

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
_UNCHANGED_SECONDS: Final = 60.0  # between lines without changes
_LATE_SHARE: Final = 0.01
_ENOUGH_EVENTS: Final = 10_000  # for a meaningful share
_WARNED_EVERY_SECONDS: Final = 600.0

log = logging.getLogger("mdp.status")


@contextmanager
def said(*, quiet: bool) -> Iterator[None]:
    """Runs the status thread: lines if standard error is a terminal, unless `quiet`; warnings in any case."""
    ended, printer = threading.Event(), _Printer(shows=sys.stderr.isatty() and not quiet)
    thread = threading.Thread(target=printer.run_until, args=[ended], name="status-line", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class _Printer:
    def __init__(self, *, shows: bool) -> None:
        self._shows = shows
        self._last, self._last_at = status(), time.monotonic()
        self._compared, self._warned_at = self._last, float("-inf")
        self._printed_at = float("-inf")

    def run_until(self, ended: threading.Event) -> None:
        while not ended.wait(_EVERY_SECONDS):
            now = status()
            if self._shows:
                self._print(now)
            self._warn_of_late_events(now, _ENOUGH_EVENTS)
        self._warn_of_late_events(status(), _ENOUGH_EVENTS // 10)

    def _print(self, now: Status) -> None:
        at = time.monotonic()
        if now != self._last or at - self._printed_at > _UNCHANGED_SECONDS:
            log.info("%s", line(now, (now.events - self._last.events) / (at - self._last_at)))
            self._printed_at = at
        self._last, self._last_at = now, at

    def _warn_of_late_events(self, now: Status, least: int) -> None:
        events, late = now.events - self._compared.events, now.late - self._compared.late
        if events < least:
            return
        self._compared = now
        if late > _LATE_SHARE * events and time.monotonic() - self._warned_at > _WARNED_EVERY_SECONDS:
            self._warned_at = time.monotonic()
            log.warning(
                "%.1f %% of the last %s events were too late for their bars: `mdp stream lateness` shows how late, "
                "and for which providers; raise micro_batch.allow_late_ms or micro_batch.amend_ms",
                100 * late / events,
                f"{events:,}",
            )


def line(now: Status, rate: float) -> str:
    """The status line; `rate` in events per second."""
    share = 100 * now.late / now.events if now.events else 0.0
    text = (
        f"{rate:,.0f} events/s, {now.lag_ms / 1e3:,.1f} s behind, {share:.2f} % late, "
        f"{now.bars:,} bars, {now.signals:,} signals"
    )
    return f"{text}; waiting for {' and '.join(now.waiting)}" if now.waiting else text


def warn_of_idle(workers: int, partitions: int) -> None:
    """Warns if there are more workers than partitions."""
    if workers > partitions:
        log.warning(
            "more workers (%d) than partitions (%d): the others have nothing to read; use --workers %d, "
            "or give the topic more partitions",
            workers,
            partitions,
            partitions,
        )
