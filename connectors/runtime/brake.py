"""Holds a source back while those that read its messages are too far behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from connectors.runtime.publishing import Publisher
from contracts.errors import MdpError

_LOOK_SECONDS: Final = 2.0

log = logging.getLogger("mdp.connect")


class Brake:
    """Pauses a publisher when the lag is above its bound, until it has fallen to half of that.

    Args:
        publisher: of the source.
        lag: how many records consumers are behind; may block, and is called on a thread.
        most: the bound.
        look_s: seconds between two looks.
    """

    def __init__(
        self, publisher: Publisher, lag: Callable[[], int], most: int, *, look_s: float = _LOOK_SECONDS
    ) -> None:
        self._publisher, self._lag, self._most, self._look_s = publisher, lag, most, look_s
        self._is_on = False

    async def run(self) -> None:
        """Looks until it is cancelled."""
        while True:
            try:
                self._judge(await asyncio.to_thread(self._lag))
            except MdpError as error:  # Kafka does not answer: its producer's queue holds the source back then
                log.info("the lag of consumers is not known: %s", error.line)
            await asyncio.sleep(self._look_s)

    def connected(self) -> None:
        """It does not matter."""

    async def end(self) -> None:
        """There is nothing to end."""

    def _judge(self, lag: int) -> None:
        if not self._is_on and lag > self._most:
            log.warning("consumers are %s records behind: the source is held back", f"{lag:,}")
            self._is_on = True
            self._publisher.pause()
        elif self._is_on and lag <= self._most // 2:
            log.warning("consumers are %s records behind: the source goes on", f"{lag:,}")
            self._is_on = False
            self._publisher.resume()
