"""Rates and counts of the flow: from its progress, and from its workers' metrics if these can be reached."""

from __future__ import annotations

import http.client
import socket
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from contracts.batch import Outcomes
from flows.settings import Settings
from flows.spec import MARKET
from sinks.queries.live import FlowProgress

_RATE_SECONDS: Final = 5.0
_TIMEOUT_SECONDS: Final = 1.0
_MOST_WORKERS: Final = 256
_LAG: Final = "stream_consumer_lag_ms"
_WATERMARK: Final = "stream_watermark_delay_seconds"


class Counts:
    """Outcomes of the events of one flow.

    Args:
        flows: names under which its progress may be stored.
    """

    def __init__(self, flows: Sequence[str]) -> None:
        self._flows = flows
        self._seen: deque[tuple[float, int]] = deque()

    def of(self, progress: Mapping[str, FlowProgress]) -> dict[str, Any]:
        """The counts so far, the recent events per second (None at first), and seconds since the last write, if any."""
        known = [progress[flow] for flow in self._flows if flow in progress]
        if not known:
            return {}
        ours = min(known, key=lambda one: one.age)  # another may have ended long ago
        counts = asdict(ours.outcomes)
        return {**counts, "events": ours.outcomes.events, "rate": self._rate(ours.outcomes), "age": round(ours.age, 1)}

    def _rate(self, outcomes: Outcomes) -> float | None:
        now = time.monotonic()
        self._seen.append((now, outcomes.events))
        while now - self._seen[0][0] > _RATE_SECONDS:
            self._seen.popleft()
        since, before = self._seen[0]
        return round(max(0, outcomes.events - before) / (now - since), 1) if now > since else None


@dataclass(frozen=True)
class WorkerMetrics:
    """The metrics of all workers of the flow, each on a port of its own.

    Attributes:
        topic: the topic that the flow reads; metrics of others are ignored.
    """

    host: str
    port: int
    topic: str

    @classmethod
    def of(cls, settings: Settings) -> WorkerMetrics:
        """The addresses of the workers with these settings."""
        telemetry = settings.telemetry
        return cls(telemetry.metrics_host, telemetry.metrics_port, MARKET.topic(settings))

    def read(self) -> dict[str, float | None]:
        """The largest lag in milliseconds and watermark delay in seconds of all partitions; None if unknown."""
        greatest: dict[str, float] = {}
        for text in self._pages():
            for name, value in self._samples(text):
                greatest[name] = max(value, greatest.get(name, value))
        return {"lag_ms": greatest.get(_LAG), "watermark_s": greatest.get(_WATERMARK)}

    def _pages(self) -> Iterator[str]:
        """Yields the metrics of workers at all addresses of the host name, as a Kubernetes service may have many."""
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM) if self.port else []
        except OSError:
            return
        for address in {str(place[0]) for *_, place in found}:
            yield from self._pages_at(address)

    def _pages_at(self, address: str) -> Iterator[str]:
        for worker in range(_MOST_WORKERS):
            connection = http.client.HTTPConnection(address, self.port + worker, timeout=_TIMEOUT_SECONDS)
            try:
                connection.request("GET", "/metrics")
                yield connection.getresponse().read().decode(errors="replace")
            except (OSError, http.client.HTTPException):
                return
            finally:
                connection.close()

    def _samples(self, text: str) -> Iterator[tuple[str, float]]:
        # Parsing all the histograms, which are not needed here, would take milliseconds.
        wanted = "".join(f"{line}\n" for line in text.splitlines() if line.startswith((_LAG, _WATERMARK)))
        try:
            samples = [sample for family in text_string_to_metric_families(wanted) for sample in family.samples]
        except ValueError:  # the port belongs to another program
            return
        for sample in samples:
            if sample.labels.get("topic") == self.topic:
                yield sample.name, sample.value
