"""The run itself: shown while events are sent, and then until the last one is accounted for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from mdp.demo.account import Found, checks
from mdp.demo.feed import Feed
from mdp.demo.interrupts import Interrupts
from mdp.demo.observer import Observer, Snapshot
from mdp.demo.screen import Screen
from mdp.demo.view import View
from mdp.demo.worker import Worker
from sinks.connection import StoreUnavailable

_VIEW_SECONDS: Final = 0.5
_LOOK_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 20.0  # without progress: a loaded machine may take long, but makes progress


@dataclass
class Session:
    """A worker and a feed, with observer and screen; `page` is the address of the live page."""

    worker: Worker
    feed: Feed
    observer: Observer
    screen: Screen
    interrupts: Interrupts
    page: str

    def watch(self, seconds: float | None) -> View:
        """Send events for `seconds`, or until a signal; return the last view.

        Raises:
            WorkerFailed, ProduceError: the worker or the feed has failed.
        """
        self.feed.start()
        begin = due = time.monotonic()
        view = self.screen.view(Snapshot(), "", "")
        while not self.interrupts.asked:
            now = time.monotonic()
            if seconds is not None and now - begin >= seconds:
                break
            if now >= due:
                view = self._show(
                    view.snapshot, f"live  {_clock(now - begin, seconds)}", f"{self.page}  Ctrl-C ends it"
                )
                due = now + _VIEW_SECONDS
            time.sleep(_LOOK_SECONDS)
        return view

    def drain(self) -> Found:
        """Stop sending; wait until heartbeats have closed the last windows and every event is accounted for.

        After a long time without progress it returns, and the checks report missing events.
        """
        self.feed.finish()
        found, snapshot, advanced = Found(), Snapshot(), time.monotonic()
        while time.monotonic() - advanced < _PATIENCE_SECONDS:
            snapshot = self._show(snapshot, "closing the last windows", "Ctrl-C ends it at once").snapshot
            before, found = found, self.observer.found()
            if all(check.holds for check in checks(self.feed.sent, found)):
                break
            advanced = time.monotonic() if found != before else advanced
            time.sleep(_LOOK_SECONDS)
        return found

    def _show(self, last: Snapshot, title: str, remark: str) -> View:
        self.worker.check()
        self.feed.check()
        try:
            snapshot = self.observer.snapshot()
        except StoreUnavailable:  # the worker waits, and the view stands still
            snapshot = last
        view = self.screen.view(snapshot, title, remark)
        self.screen.show(view)
        return view


def _clock(elapsed: float, seconds: float | None) -> str:
    return _minutes(elapsed) if seconds is None else f"{_minutes(elapsed)} of {_minutes(seconds)}"


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
