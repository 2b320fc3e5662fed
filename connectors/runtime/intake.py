"""Raw messages on their way from the connection to the normalizer: bounded in number and in bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from connectors.connector import Raw, Receipt

MOST_MESSAGES: Final = 10_000
MOST_BYTES: Final = 16_777_216
_AT_ONCE: Final = 2_000  # in one call of the normalizer: the event loop waits for it for about 10 ms

Confirmed = Callable[[Sequence[Raw], int], Awaitable[Receipt]]


class Taken(NamedTuple):
    """Raw messages, when each arrived, in nanoseconds since the epoch, and whether a connection begins with them."""

    raw: list[Raw]
    times: list[int]
    is_first: bool = False


class Intake:
    """What a connector emits into. While it is full, emitting waits, and so the connection is not read.

    Args:
        confirm: hands messages over without the queue, and waits for Kafka.
        note_sign: gets to know of every sign of life from the source.
    """

    def __init__(
        self,
        confirm: Confirmed,
        note_sign: Callable[[], None],
        *,
        most_messages: int = MOST_MESSAGES,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._confirm, self._note_sign = confirm, note_sign
        self._most_messages, self._most_bytes = most_messages, most_bytes
        self._raw: list[Raw] = []
        self._times: list[int] = []
        self._begins: deque[int] = deque()  # the places in the queue where connections begin
        self._bytes = 0
        self._some, self._room = asyncio.Event(), asyncio.Event()
        self._is_closed = False

    async def __call__(self, raw: Sequence[Raw], arrived_ns: int) -> None:
        self._note_sign()
        self._raw += raw
        self._times += [arrived_ns] * len(raw)
        self._bytes += sum(map(len, raw))
        self._some.set()
        while self.is_full:
            self._room.clear()
            await self._room.wait()

    async def confirmed(self, raw: Sequence[Raw], arrived_ns: int) -> Receipt:
        self._note_sign()
        return await self._confirm(raw, arrived_ns)

    def __len__(self) -> int:
        return len(self._raw)

    @property
    def is_full(self) -> bool:
        return len(self._raw) >= self._most_messages or self._bytes >= self._most_bytes

    def begin(self) -> None:
        """Says that what comes from now on is of another connection."""
        self._begins.append(len(self._raw))

    def close(self) -> None:
        """Says that nothing more will come."""
        self._is_closed = True
        self._some.set()

    async def take(self) -> Taken | None:
        """The oldest messages, once there are any, or a sign of life without one; None at the end."""
        await self._some.wait()
        if self._is_closed and not self._raw:
            return None
        is_first = self._begins_here()
        count = min(_AT_ONCE, *self._begins) if self._begins else _AT_ONCE
        taken = Taken(self._raw[:count], self._times[:count], is_first)
        del self._raw[:count], self._times[:count]
        self._begins = deque(place - len(taken.raw) for place in self._begins)
        self._bytes -= sum(map(len, taken.raw))
        if not (self._raw or self._is_closed):
            self._some.clear()
        self._room.set()
        return taken

    def _begins_here(self) -> bool:
        """Whether a connection begins with the first message of the queue."""
        found = False
        while self._raw and self._begins and self._begins[0] == 0:
            self._begins.popleft()
            found = True
        return found
