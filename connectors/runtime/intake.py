"""Raw messages on their way from the connection to the normalizer: bounded in number and in bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from connectors.connector import Raw, Receipt

MOST_MESSAGES: Final = 10_000
MOST_BYTES: Final = 16_777_216
_AT_ONCE: Final = 2_000  # in one call of the normalizer: the event loop waits for it for about 10 ms

Confirmed = Callable[[Sequence[Raw], int], Awaitable[Receipt]]


class Taken(NamedTuple):
    """Raw messages, and when each arrived, in nanoseconds since the epoch."""

    raw: list[Raw]
    times: list[int]


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

    def close(self) -> None:
        """Says that nothing more will come."""
        self._is_closed = True
        self._some.set()

    async def take(self) -> Taken | None:
        """The oldest messages, once there are any, or a sign of life without one; None at the end."""
        await self._some.wait()
        if self._is_closed and not self._raw:
            return None
        taken = Taken(self._raw[:_AT_ONCE], self._times[:_AT_ONCE])
        del self._raw[:_AT_ONCE], self._times[:_AT_ONCE]
        self._bytes -= sum(map(len, taken.raw))
        if not (self._raw or self._is_closed):
            self._some.clear()
        self._room.set()
        return taken
