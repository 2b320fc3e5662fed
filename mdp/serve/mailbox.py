"""The pending updates of a browser: a newer one replaces an older one, so their number is bounded by what is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

_MOST_ROWS: Final = 2_000  # of one kind: a browser that is further behind must reconnect

News = list[tuple[str, Any]]


class Mailbox:
    """Filled and emptied on one event loop.

    Attributes:
        closed: no more updates: the server ends, or the browser does not read.
    """

    def __init__(self) -> None:
        self.closed = False
        self._values: dict[str, Any] = {}
        self._rows: dict[str, dict[Any, Any]] = {}
        self._filled = asyncio.Event()

    def put(self, kind: str, value: Any) -> None:
        """Add an update of this kind, replacing an older one."""
        if not self.closed:
            self._values[kind] = value
            self._filled.set()

    def put_rows(self, kind: str, rows: Mapping[Any, Any]) -> None:
        """Add rows of this kind by key, replacing older rows of the same keys."""
        if rows and not self.closed:
            waiting = self._rows.setdefault(kind, {})
            waiting.update(rows)
            self._filled.set()
            if len(waiting) > _MOST_ROWS:
                self.close()

    def withdraw(self, kind: str) -> None:
        """Discard the pending rows of this kind."""
        self._rows.pop(kind, None)

    def close(self) -> None:
        """Accept no more updates, and discard the pending ones."""
        self.closed = True
        self._values.clear()
        self._rows.clear()
        self._filled.set()

    async def take(self, seconds: float) -> News:
        """Wait for updates and return all, values before rows; return none after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._filled.wait()
        except TimeoutError:
            return []
        self._filled.clear()
        news = [*self._values.items(), *((kind, list(rows.values())) for kind, rows in self._rows.items())]
        self._values, self._rows = {}, {}
        return news
