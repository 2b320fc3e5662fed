"""Something that the flow needs is away: said once in the log, shown in a metric, waited for."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from telemetry.metrics import WAITING

_T = TypeVar("_T")
_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 5.0

log = logging.getLogger("mdp.outage")


class Outage:
    """Begins and ends with what the threads of a worker find out about a service; each may say so often."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._since: float | None = None
        self._lock = threading.Lock()

    def begin(self, reason: object) -> None:
        """The service does not answer."""
        with self._lock:
            if self._since is not None:
                return
            self._since = time.monotonic()
        WAITING.labels(self._service).inc()
        log.warning("%s is not available, waiting for it: %s", self._service, " ".join(str(reason).split()))

    def end(self) -> None:
        """The service answers."""
        if self._since is None:  # nearly always, and without a lock
            return
        with self._lock:
            since, self._since = self._since, None
        if since is None:
            return
        WAITING.labels(self._service).dec()
        log.warning("%s is back after %.1f s", self._service, time.monotonic() - since)


def wait_out(call: Callable[[], _T], unavailable: type[Exception], service: str) -> _T:
    """Calls until it no longer raises `unavailable`, with exponential backoff and jitter; the caller is held back."""
    wait, outage = _FIRST_WAIT, Outage(service)
    while True:
        try:
            result = call()
        except unavailable as error:
            outage.begin(error)
        else:
            outage.end()
            return result
        time.sleep(random.uniform(wait / 2, wait))  # noqa: S311 - jitter
        wait = min(2 * wait, _LONGEST_WAIT)
