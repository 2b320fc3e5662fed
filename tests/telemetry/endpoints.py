"""What a worker serves over HTTP, as whoever scrapes or probes it sees it."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from mdp.local import ports


@dataclass(frozen=True)
class Endpoints:
    port: int

    def get(self, path: str) -> tuple[int, str]:
        """Status and text; (0, "") while nothing is served there."""
        connection = http.client.HTTPConnection(ports.HOST, self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    def judged(self, path: str) -> tuple[int, dict[str, Any]]:
        status, text = self.get(path)
        return status, json.loads(text or "{}")

    @property
    def is_ready(self) -> bool:
        return self.judged("/ready") == (200, {"ready": True, "reasons": []})

    def obstacles(self) -> list[str]:
        """Why the worker is not ready."""
        status, judged = self.judged("/ready")
        assert (status, judged["ready"]) == (503 if judged["reasons"] else 200, not judged["reasons"])
        return list(judged["reasons"])

    def metrics(self) -> dict[str, Metric]:
        """By name; the parser names counters without `_total`."""
        return {family.name: family for family in text_string_to_metric_families(self.get("/metrics")[1])}

    def total(self, name: str, **labels: str) -> float:
        """The sum over the series that have these labels; of a histogram the count."""
        return sum(
            sample.value
            for sample in self.metrics()[name].samples
            if labels.items() <= sample.labels.items() and not sample.name.endswith(("_sum", "_bucket"))
        )


def free_ports(count: int) -> int:
    """The first of so many free ports, one after the other."""
    while True:
        (first,) = ports.choose(range(18_000, 19_000), 1)
        if not any(ports.answers(first + number) for number in range(count)):
            return first
