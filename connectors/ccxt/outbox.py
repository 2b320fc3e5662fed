"""What has come by a websocket and has not been handed over yet.

ccxt reads its socket whether or not anybody takes what it has read, so it cannot be held back. What comes waits here;
when it becomes too much, the connection is given up: what is then missing is a hole, and is got again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final, NoReturn

from connectors.connector import Disconnected, Emit, Raw

MOST_WAITING: Final = 200_000  # messages


class Outbox:
    """A queue from the watchers of a connection to the runtime."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most: Final = most
        self._waiting: deque[tuple[Sequence[Raw], int]] = deque()
        self._count = 0
        self._news = asyncio.Event()

    def put(self, raw: Sequence[Raw], arrived_ns: int) -> None:
        """Queues messages.

        Raises:
            Disconnected: too many are waiting.
        """
        if self._count + len(raw) > self._most:
            raise Disconnected(f"{self._count} messages wait to be sent: Kafka is behind")
        self._waiting.append((raw, arrived_ns))
        self._count += len(raw)
        self._news.set()

    async def drain(self, emit: Emit) -> NoReturn:
        """Hands over what comes, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self.empty(emit)

    async def empty(self, emit: Emit) -> None:
        """Hands over what is waiting; what was not taken over stays."""
        while self._waiting:
            raw, arrived_ns = self._waiting[0]
            await emit(raw, arrived_ns)
            self._waiting.popleft()
            self._count -= len(raw)
