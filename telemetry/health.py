"""Liveness and readiness of a worker, with the reasons against."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from telemetry.outage import waiting
from telemetry.partition_lag import Reading, readings

STUCK_SECONDS: Final = 120.0  # longer than the timeout of a write, which is then retried
_ANSWER_SECONDS: Final = 3.0

Check = Callable[[], None]

_written_at = 0.0


def note_write() -> None:
    """Notes a write of a sink: a worker that waits for it is not stuck."""
    global _written_at  # noqa: PLW0603 - of the process, as metrics are
    _written_at = time.monotonic()


def problems() -> list[str]:
    """Reasons to restart the process.

    A worker polls each of its partitions many times a second. It is blocked while a sink writes, and longer while a
    service is unavailable, which a restart would not fix.
    """
    since = time.monotonic() - STUCK_SECONDS
    if _written_at > since or waiting():
        return []
    return [
        f"partition {reading.partition} has not been polled for {time.monotonic() - reading.asked_at:.0f} s"
        for reading in readings()
        if reading.asked_at < since
    ]


@dataclass
class Probe:
    """Checks a service, one attempt at a time, however long it takes."""

    service: str
    check: Check
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _attempt: _Attempt | None = field(default=None, init=False)

    def begin(self) -> _Attempt:
        """Starts an attempt, unless one is in progress."""
        with self._lock:
            if self._attempt is None or self._attempt.done.is_set():
                self._attempt = _Attempt(self.check)
            return self._attempt


class _Attempt:
    def __init__(self, check: Check) -> None:
        self.done = threading.Event()
        self.failure: str | None = None  # not the exception, which would keep its frames, and connections, alive
        threading.Thread(target=self._run, args=[check], name="probe", daemon=True).start()

    def _run(self, check: Check) -> None:
        try:
            check()
        except Exception as error:  # whatever its type, the service cannot be reached
            self.failure = " ".join(str(error).split())
        finally:
            self.done.set()


class Readiness:
    """Ready means: alive, partitions assigned, caught up, and all services reachable."""

    def __init__(self, checks: Mapping[str, Check], most_lag_ms: float) -> None:
        self._probes = [Probe(service, check) for service, check in checks.items()]
        self._most_lag_ms = most_lag_ms

    def obstacles(self) -> list[str]:
        """Reasons why it is not ready. Checks all services concurrently on each call."""
        attempts = [(probe.service, probe.begin()) for probe in self._probes]
        return [*problems(), *self._reading(), *self._reaching(attempts)]

    def _reading(self) -> list[str]:
        assigned = readings()
        if not assigned:
            return ["no partition is assigned"]
        return [reason for reading in assigned if (reason := self._behind(reading))]

    def _behind(self, reading: Reading) -> str:
        name = f"partition {reading.partition}"
        if not reading.has_begun:
            return f"{name} has not been read yet"
        lag_ms = reading.lag_ms()
        return f"{name} lags {lag_ms / 1e3:.1f} s behind" if lag_ms > self._most_lag_ms else ""

    def _reaching(self, attempts: list[tuple[str, _Attempt]]) -> list[str]:
        deadline = time.monotonic() + _ANSWER_SECONDS
        reasons = {service: f"waiting for {service}" for service in waiting()}
        for service, attempt in attempts:
            if not attempt.done.wait(deadline - time.monotonic()):
                reasons[service] = f"{service} does not answer"
            elif attempt.failure is not None:
                reasons[service] = f"{service} is not available: {attempt.failure}"
        return list(reasons.values())
