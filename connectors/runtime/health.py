"""How a connector is, for /health and for Prometheus."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from contracts.timestamps import format_timestamp
from telemetry.metrics import (
    CONNECTOR_CONNECTED,
    CONNECTOR_DISCONNECTS,
    CONNECTOR_LAST_OK,
    CONNECTOR_LATENCY,
    CONNECTOR_LIMITED,
    CONNECTOR_PAUSED,
    CONNECTOR_WAITING,
)

State = Literal["connecting", "live", "waiting", "ended"]

_NS_PER_S: Final = 1_000_000_000


@dataclass(slots=True)
class Health:
    """The state of one connector. Written by its event loop, read by any thread.

    Attributes:
        connector: its id.
        state: connecting; live; waiting, to connect again; ended.
        reason: why it is not live, or why it was not.
        is_paused: whether the source is held back, as consumers are behind.
        waiting: messages taken in that Kafka has not acknowledged yet.
        taken, refused, dropped, disconnects: counts since the start.
        last_ok_ns: when Kafka last acknowledged what the source had sent.
        latency_ms: from the event time of the newest message to its arrival; None before the first.
        stale_after_s: the silence after which it is not well.
    """

    connector: str
    stale_after_s: float | None = None
    state: State = "connecting"
    reason: str = ""
    is_paused: bool = False
    waiting: int = 0
    taken: int = 0
    refused: int = 0
    dropped: int = 0
    disconnects: int = 0
    last_ok_ns: int | None = None
    latency_ms: float | None = None
    _begun_ns: int = field(default_factory=time.time_ns)

    def __post_init__(self) -> None:
        CONNECTOR_LAST_OK.labels(self.connector).set(self._begun_ns / _NS_PER_S)
        self._show()

    def begin(self, state: State, reason: str = "") -> None:
        """Notes a change of the state."""
        self.state, self.reason = state, reason or self.reason
        self._show()

    def note_disconnect(self, kind: Literal["lost", "stale"], reason: str) -> None:
        """Notes that a connection has ended, or that there was none to be had."""
        self.disconnects += 1
        CONNECTOR_DISCONNECTS.labels(self.connector, kind).inc()
        self.begin("waiting", reason)

    def note_paused(self, *, is_paused: bool) -> None:
        self.is_paused = is_paused
        self._show()

    def note_waiting(self, waiting: int) -> None:
        self.waiting = waiting
        CONNECTOR_WAITING.labels(self.connector).set(waiting)

    def note_ok(self, now_ns: int) -> None:
        """Notes that Kafka has acknowledged something."""
        self.last_ok_ns = now_ns
        CONNECTOR_LAST_OK.labels(self.connector).set(now_ns / _NS_PER_S)

    def note_latency(self, event_ns: int, arrived_ns: int) -> None:
        self.latency_ms = (arrived_ns - event_ns) / 1e6
        CONNECTOR_LATENCY.labels(self.connector).set(self.latency_ms / 1e3)

    def note_limited(self, seconds: float) -> None:
        CONNECTOR_LIMITED.labels(self.connector).inc(seconds)

    def obstacles(self, now_ns: int) -> list[str]:
        """Why it is not well; none if it is."""
        found = [] if self.state == "live" else [f"{self.state}: {self.reason}" if self.reason else self.state]
        silence = (now_ns - (self.last_ok_ns or self._begun_ns)) / _NS_PER_S
        if self.stale_after_s is not None and silence > self.stale_after_s:
            found.append(f"nothing from the source is in Kafka since {silence:.0f} s")
        return found

    def report(self, now_ns: int) -> dict[str, Any]:
        """The answer of /health."""
        reasons = self.obstacles(now_ns)
        return {
            "connector": self.connector,
            "ok": not reasons,
            "reasons": reasons,
            "state": self.state,
            "paused": self.is_paused,
            "latency_ms": self.latency_ms,
            "last_ok": None if self.last_ok_ns is None else format_timestamp(self.last_ok_ns),
            "lag": self.waiting,
            "messages": self.taken,
            "refused": self.refused,
            "dropped": self.dropped,
            "disconnects": self.disconnects,
        }

    def _show(self) -> None:
        CONNECTOR_CONNECTED.labels(self.connector).set(self.state == "live")
        CONNECTOR_PAUSED.labels(self.connector).set(self.is_paused)
