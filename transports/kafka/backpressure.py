"""Lets a process sleep while Bytewax holds its sources back.

After each epoch Bytewax polls a source only when all processes of the cluster have completed the epoch before. It does
not wait for that, but runs its loop without a pause. So one process that waits for a service would keep all others
busy, each with a whole core, and take the CPU from the service itself if that runs on the same machine.

Steps of a partition can ask to be called at a time of their own, also while the sources are held back: they look then
whether any source was polled, and sleep if not.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

_LOOK: Final = 0.25  # seconds between two looks; sources are polled at least every 10 ms
_NEXT_LOOK: Final = 0.001  # after one without a poll, as a step that takes long delays polls, too
_SLEEP: Final = 0.02


class Polls:
    """The polls of the sources of this process."""

    count = 0
    _woke = 0.0

    @classmethod
    def add(cls) -> None:
        cls.count += 1

    @classmethod
    def sleep(cls) -> None:
        """Sleeps for a while; of all partitions whose steps want to, one does."""
        if time.monotonic() - cls._woke > _NEXT_LOOK / 2:
            time.sleep(_SLEEP)
            cls._woke = time.monotonic()


class Backpressure:
    """The view of one partition's steps."""

    def __init__(self) -> None:
        self._seen = -1
        self._unchanged = 0  # looks in a row without a poll between them
        self._next_look = datetime.now(UTC)

    def next_look(self) -> datetime:
        """When to look next."""
        return self._next_look

    def handed_on(self) -> None:
        """A batch has come: the next look can wait."""
        self._look_after(_LOOK)

    def look(self) -> None:
        """Sleeps if no source was polled between the last two looks and now."""
        self._unchanged = self._unchanged + 1 if Polls.count == self._seen else 0
        self._seen = Polls.count
        # Before the sleep, as Bytewax counts from when it has asked for the look.
        self._look_after(_NEXT_LOOK if self._unchanged else _LOOK)
        if self._unchanged > 1:
            Polls.sleep()

    def _look_after(self, seconds: float) -> None:
        self._next_look = datetime.now(UTC) + timedelta(seconds=seconds)
