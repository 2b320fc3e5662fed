"""Outages of required services: logged once, shown in a metric, and waited out."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Final, TypeVar

from telemetry.metrics import ERRORS, WAITING

_T = TypeVar("_T")
_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 5.0

log = logging.getLogger("mdp.outage")


class _Incident:
    """An unavailable service, for all parts of this process: one log line when it goes, one when it is back."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._waiting, self._begun = WAITING.labels(service), ERRORS.labels(service, "unavailable")
        self._lock = threading.Lock()
        self._parts = 0
        self._since = 0.0

    def join(self, reason: object) -> None:
        """Notes one more waiting part."""
        self._waiting.inc()
        self._begun.inc()
        with self._lock:
            self._parts += 1
            if self._parts > 1:
                return
            self._since = time.monotonic()
        text = " ".join(str(reason).split())
        fields = {"service": self._service, "reason": text}
        log.warning("%s is not available, waiting for it: %s", self._service, text, extra=fields)

    def leave(self) -> None:
        """Notes that one part no longer waits."""
        self._waiting.dec()
        with self._lock:
            self._parts -= 1
            if self._parts:
                return
        seconds = time.monotonic() - self._since
        fields = {"service": self._service, "seconds": round(seconds, 1)}
        log.warning("%s is back after %.1f s", self._service, seconds, extra=fields)


_incident: Final = cache(_Incident)


class Outage:
    """An outage as seen by the threads of one part of a worker; `begin` and `end` may be called repeatedly."""

    def __init__(self, service: str) -> None:
        self._incident = _incident(service)
        self._waits = False
        self._lock = threading.Lock()

    def begin(self, reason: object) -> None:
        """Notes that the service does not answer."""
        with self._lock:
            begins, self._waits = not self._waits, True
        if begins:
            self._incident.join(reason)

    def end(self) -> None:
        """Notes that the service answers."""
        if not self._waits:  # nearly always, and without a lock
            return
        with self._lock:
            ends, self._waits = self._waits, False
        if ends:
            self._incident.leave()


def waiting() -> list[str]:
    """The services that any part of this process waits for."""
    samples = [sample for family in WAITING.collect() for sample in family.samples]
    return [sample.labels["service"] for sample in samples if sample.value > 0]


def wait_out(call: Callable[[], _T], unavailable: type[Exception], service: str) -> _T:
    """Calls until it no longer raises `unavailable`, with exponential backoff and jitter; blocks the caller."""
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
