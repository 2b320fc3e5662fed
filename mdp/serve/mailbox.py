"""What a browser has not been sent yet: news of one thing replace each other, so it is bounded by what is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

_MOST_ROWS: Final = 2_000  # of one kind: whoever is that far behind is to begin anew

News = list[tuple[str, Any]]


class Mailbox:
    """Filled and emptied on one event loop.

    Attributes:
        closed: nothing more will come: the server ends, or the browser does not read.
    """

    def __init__(self) -> None:
        self.closed = False
        self._values: dict[str, Any] = {}
        self._rows: dict[str, dict[Any, Any]] = {}
        self._filled = asyncio.Event()

    def put(self, kind: str, value: Any) -> None:
        """The news of this kind, in place of older ones."""
        if not self.closed:
            self._values[kind] = value
            self._filled.set()

    def put_rows(self, kind: str, rows: Mapping[Any, Any]) -> None:
        """Rows of this kind by their keys, in place of older ones of the same keys."""
        if rows and not self.closed:
            waiting = self._rows.setdefault(kind, {})
            waiting.update(rows)
            self._filled.set()
            if len(waiting) > _MOST_ROWS:
                self.close()

    def withdraw(self, kind: str) -> None:
        """Rows of this kind that have not been sent are not news any more."""
        self._rows.pop(kind, None)

    def close(self) -> None:
        """Take nothing more, and let go of what is there."""
        self.closed = True
        self._values.clear()
        self._rows.clear()
        self._filled.set()

    async def take(self, seconds: float) -> News:
        """What there is, values before rows, once there is something; nothing after so many seconds."""
        try:
            await asyncio.wait_for(self._filled.wait(), seconds)
        except TimeoutError:
            return []
        self._filled.clear()
        news = [*self._values.items(), *((kind, list(rows.values())) for kind, rows in self._rows.items())]
        self._values, self._rows = {}, {}
        return news
