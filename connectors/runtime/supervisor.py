"""Keeps one connector running: connects again, holds it back, and ends it without losing what it has taken in."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Sequence
from typing import Final, Protocol

from connectors.connector import Connector, Disconnected
from connectors.runtime.backoff import Backoff
from connectors.runtime.health import Health
from connectors.runtime.intake import Intake
from connectors.runtime.publishing import Publisher
from connectors.runtime.watchdog import Stale, Watchdog
from contracts.errors import MdpError

_SETTLE_SECONDS: Final = 0.005

log = logging.getLogger("mdp.connect")


class UnacknowledgedError(MdpError):
    """The process has to end before Kafka has acknowledged everything."""


class Companion(Protocol):
    """Something that runs beside a connector, such as what writes its positions."""

    async def run(self) -> None:
        """Runs until it is cancelled.

        Raises:
            MdpError: the connector cannot go on.
        """

    def connected(self) -> None:
        """Is called before the first messages of each connection are published."""

    async def end(self) -> None:
        """Is called once, when all that was taken in is acknowledged."""


class Supervisor:
    """Runs one connector until its source ends, or it is told to stop.

    Args:
        connector: connects, and emits.
        publisher: takes what it emits.
        health: learns how it is.
        backoff: between two connections.
        companions: run beside it.
        stop_s: how many seconds a stop may wait for Kafka.
    """

    def __init__(
        self,
        connector: Connector,
        publisher: Publisher,
        health: Health,
        *,
        companions: Sequence[Companion] = (),
        stop_s: float = 10.0,
    ) -> None:
        manifest = connector.request.manifest
        self._connector, self._publisher, self._health = connector, publisher, health
        self._backoff = Backoff(manifest.reconnect)
        self._companions, self._stop_s = companions, stop_s
        self._intake = Intake(publisher.confirmed, self._note_sign)
        self._watchdog = Watchdog(manifest.stale_after_s, lambda: self._intake.is_full)

    async def run(self, stop: asyncio.Event) -> None:
        """Returns when all that was taken in is acknowledged.

        Raises:
            MdpError: another attempt would not help.
            UnacknowledgedError: Kafka did not answer in time.
        """
        sending = [asyncio.create_task(one) for one in (self._publish(), self._settle())]
        taking = [asyncio.create_task(one.run()) for one in self._companions]
        taking += [asyncio.create_task(self._stay_connected()), asyncio.create_task(_returns(stop.wait()))]
        try:
            await asyncio.wait([*sending, *taking], return_when=asyncio.FIRST_COMPLETED)
            await _cancelled(taking)
            _raise_first_failure(sending)
            await self._drain(sending[0])
            for companion in self._companions:
                await companion.end()
            _raise_first_failure(taking)
        finally:
            await _cancelled([*sending, *taking])
            self._health.begin("ended")

    async def _stay_connected(self) -> None:
        """Connects as often as it takes; returns when nothing more will come."""
        while True:
            await self._connector.request.limiter.acquire()
            begin = time.monotonic()
            self._health.begin("connecting")
            self._intake.begin()
            try:
                await self._watchdog.watch(self._connector.live(self._intake))
                return
            except (Disconnected, OSError) as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                self._health.note_disconnect("stale" if isinstance(error, Stale) else "lost", reason)
            lasted = time.monotonic() - begin if self._watchdog.has_heard else 0.0
            delay = self._backoff.delay(lasted)
            log.warning(
                "%s: %s; connecting again in %.1f s", self._health.connector, reason, delay, extra={"reason": reason}
            )
            await asyncio.sleep(delay)

    async def _publish(self) -> None:
        while (taken := await self._intake.take()) is not None:
            if taken.is_first:
                for companion in self._companions:
                    companion.connected()
            await self._publisher.publish(taken)

    async def _settle(self) -> None:
        while True:
            self._publisher.settle()
            await asyncio.sleep(_SETTLE_SECONDS)

    async def _drain(self, publishing: asyncio.Task[None]) -> None:
        """Waits until Kafka has acknowledged all that was taken in."""
        self._intake.close()
        self._publisher.resume()
        try:
            async with asyncio.timeout(self._stop_s):
                await publishing
                await self._publisher.settled()
        except TimeoutError:
            raise UnacknowledgedError(
                f"{self._health.connector}: Kafka has not acknowledged the last {self._health.waiting:,} messages",
                "they are taken in again where the source sends them again",
            ) from None

    def _note_sign(self) -> None:
        self._watchdog.note()
        if self._health.state != "live":
            self._health.begin("live")


def _raise_first_failure(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        if task.done() and not task.cancelled():
            task.result()


async def _returns(waiting: Awaitable[object]) -> None:
    await waiting


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancels tasks and waits for their ends; how those were is in the tasks."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
