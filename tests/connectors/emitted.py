"""What a connector emits, without a runtime behind it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from connectors.connector import Connector, Raw, Receipt


class Emitted:
    """Takes raw messages, and says when there are enough."""

    def __init__(self, enough: int) -> None:
        self.raw: list[Raw] = []
        self.calls = 0
        self._enough, self._is_enough = enough, asyncio.Event()

    async def __call__(self, raw: Sequence[Raw], arrived_ns: int) -> None:
        self.calls += 1
        self.raw += raw
        if len(self.raw) >= self._enough:
            self._is_enough.set()
        await asyncio.sleep(0)

    async def confirmed(self, raw: Sequence[Raw], arrived_ns: int) -> Receipt:
        await self(raw, arrived_ns)
        return Receipt(len(raw), 0, ())

    async def wait(self) -> None:
        await self._is_enough.wait()


def emitted(connector: Callable[[], Connector], enough: int, seconds: float = 20) -> list[Raw]:
    """The first messages that a connector emits; raises what it raises before there are enough."""

    async def run() -> list[Raw]:
        emit = Emitted(enough)
        living, waiting = asyncio.create_task(connector().live(emit)), asyncio.create_task(emit.wait())
        async with asyncio.timeout(seconds):
            await asyncio.wait([living, waiting], return_when=asyncio.FIRST_COMPLETED)
        for task in (waiting, living):
            if not task.done():
                task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await living
        return emit.raw

    return asyncio.run(run())
