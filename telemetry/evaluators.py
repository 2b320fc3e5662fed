"""Logs and metrics of failing evaluators."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from telemetry.metrics import BREAKER_OPEN, ERRORS, INFERENCE_DURATION

_LONGEST: Final = 300

log = logging.getLogger("mdp.inference")


class EvaluatorIncidents:
    """Reports the incidents of one Kafka partition's evaluators."""

    def failed(self, adapter: str, error: BaseException) -> None:
        ERRORS.labels("inference", type(error).__name__).inc()
        text = " ".join(str(error).split())[:_LONGEST]  # Polars may include a whole query plan
        log.warning("%s could not evaluate a window: %s: %s", adapter, type(error).__name__, text)

    def skipped(self, adapter: str) -> None:
        ERRORS.labels("inference", "breaker_open").inc()

    def opened(self, adapter: str) -> None:
        BREAKER_OPEN.labels(adapter).inc()
        log.error("%s failed too often in a row, and is skipped for inference.breaker.cooldown_ms", adapter)

    def closed(self, adapter: str) -> None:
        BREAKER_OPEN.labels(adapter).dec()
        log.warning("%s evaluates again", adapter)

    def timer(self, adapter: str) -> Callable[[], AbstractContextManager[object]]:
        return INFERENCE_DURATION.labels(adapter).time
