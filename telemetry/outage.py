"""Something that the flow needs is away: said once in the log, shown in a metric, waited for."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from telemetry.metrics import ERRORS, WAITING

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
        self._waiting, self._begun = WAITING.labels(service), ERRORS.labels(service, "unavailable")

    def begin(self, reason: object) -> None:
        """The service does not answer."""
        with self._lock:
            if self._since is not None:
                return
            self._since = time.monotonic()
        self._waiting.inc()
        self._begun.inc()
        text = " ".join(str(reason).split())
        told = {"service": self._service, "reason": text}
        log.warning("%s is not available, waiting for it: %s", self._service, text, extra=told)

    def end(self) -> None:
        """The service answers."""
        if self._since is None:  # nearly always, and without a lock
            return
        with self._lock:
            since, self._since = self._since, None
        if since is None:
            return
        self._waiting.dec()
        seconds = time.monotonic() - since
        told = {"service": self._service, "seconds": round(seconds, 1)}
        log.warning("%s is back after %.1f s", self._service, seconds, extra=told)


def waiting() -> list[str]:
    """The services that some part of this process waits for."""
    samples = [sample for family in WAITING.collect() for sample in family.samples]
    return [sample.labels["service"] for sample in samples if sample.value > 0]


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
