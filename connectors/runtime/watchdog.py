"""Ends a connection on which nothing comes: many are dead without anybody's saying so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from connectors.connector import Disconnected


class Stale(Disconnected):
    """Nothing has come for too long."""


class Watchdog:
    """Watches the signs of life of one source.

    Args:
        stale_after_s: the silence that ends a connection; None: none does.
        is_excused: whether silence is our own doing now, as the source is held back.
    """

    def __init__(self, stale_after_s: float | None, is_excused: Callable[[], bool]) -> None:
        self._stale_after_s, self._is_excused = stale_after_s, is_excused
        self._heard_at = 0.0
        self.has_heard = False  # of the present connection

    def note(self) -> None:
        """Notes a sign of life."""
        self._heard_at = time.monotonic()
        self.has_heard = True

    async def watch(self, connection: Coroutine[Any, Any, None]) -> None:
        """Awaits the connection, and returns or raises what it does.

        Raises:
            Stale: it was silent for too long, and has been cancelled.
        """
        self._heard_at, self.has_heard = time.monotonic(), False
        task = asyncio.create_task(connection)
        try:
            while not task.done():
                await asyncio.wait([task], timeout=self._left())
                if not task.done():
                    self._check()
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)  # raises if we are cancelled while it closes

    def _left(self) -> float | None:
        """The seconds until silence is too long."""
        if self._stale_after_s is None:
            return None
        return max(self._heard_at + self._stale_after_s - time.monotonic(), 0.01)

    def _check(self) -> None:
        if self._is_excused():
            self._heard_at = time.monotonic()
        elif self._stale_after_s is not None and time.monotonic() - self._heard_at >= self._stale_after_s:
            raise Stale(f"nothing has come for {self._stale_after_s:g} s")
