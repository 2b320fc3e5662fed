"""Rate limits of a source's API: a token bucket.

It holds up to `burst` tokens and is filled with `max_rps` of them per second; a call takes one. So in any span of w
seconds there are at most `burst + max_rps * w` calls. Times are whole nanoseconds, as the sum of rounded ones would
exceed that in the long run.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Final

from connectors.manifest import RateLimits

_NS_PER_S: Final = 1_000_000_000


class TokenBucket:
    """Makes calls wait so that they keep the limits; those that wait are served in their order.

    Args:
        limits: of the manifest.
        clock: nanoseconds that only grow.
        sleep: waits for some seconds.
        note_wait: gets how long a call had to wait, in seconds.
    """

    def __init__(
        self,
        limits: RateLimits,
        *,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        note_wait: Callable[[float], None] | None = None,
    ) -> None:
        self._interval, self._burst = math.ceil(_NS_PER_S / limits.max_rps), limits.burst
        self._clock, self._sleep, self._note_wait = clock, sleep, note_wait
        self._full_at = clock()  # when the bucket will be full again, if nothing takes from it
        self._turn = asyncio.Lock()

    async def acquire(self, calls: int = 1) -> None:
        """Waits until this many calls may be made, and takes their tokens.

        Raises:
            ValueError: they are more than may ever be made at once.
        """
        begin = self._clock()
        async with self._turn:
            while wait := self.take(calls):
                await self._sleep(wait / _NS_PER_S)
        if self._note_wait is not None:
            self._note_wait((self._clock() - begin) / _NS_PER_S)

    def take(self, calls: int = 1) -> int:
        """Takes the tokens of this many calls, and returns 0; or takes none, and returns for how long to wait.

        Raises:
            ValueError: they are more than may ever be made at once.
        """
        if not 1 <= calls <= self._burst:
            raise ValueError(f"{calls} calls at once, and the burst is {self._burst}")
        now = self._clock()
        wait = self._full_at - (self._burst - calls) * self._interval - now
        if wait > 0:
            return wait
        self._full_at = max(self._full_at, now) + calls * self._interval
        return 0
