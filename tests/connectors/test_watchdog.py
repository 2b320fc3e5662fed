"""How a connection ends on which nothing comes, and that a stop meanwhile is heard."""

from __future__ import annotations

import asyncio

import pytest

from connectors.runtime.watchdog import Stale, Watchdog


async def _silent(closing: asyncio.Event, close_s: float) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        closing.set()
        await asyncio.sleep(close_s)


async def _stopped_while_closing() -> None:
    closing = asyncio.Event()
    watch = asyncio.create_task(Watchdog(0.01, lambda: False).watch(_silent(closing, 30)))
    await closing.wait()
    watch.cancel()
    await watch


def test_a_stop_while_a_silent_connection_closes_is_not_lost() -> None:
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(_stopped_while_closing())


def test_a_silent_connection_has_closed_before_it_is_said_to_be_silent() -> None:
    async def watched() -> None:
        closing = asyncio.Event()
        with pytest.raises(Stale):
            await Watchdog(0.01, lambda: False).watch(_silent(closing, 0))
        assert closing.is_set()

    asyncio.run(watched())
