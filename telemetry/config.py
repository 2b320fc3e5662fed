"""Where a worker shows how it is doing."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TelemetryConfig(BaseModel):
    """Section `telemetry` of the config.

    Attributes:
        metrics_port: where worker 0 serves Prometheus metrics, on `metrics_host`; worker n takes the n-th port after
            it. 0 serves none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(default=9101, ge=0, le=65_000)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
