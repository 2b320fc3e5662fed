"""The config of metrics, health checks and logs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from telemetry.labels import MOST_PROVIDERS, PROVIDER

_Provider = Annotated[str, Field(pattern=f"^{PROVIDER}$")]
_Seconds = Annotated[int, Field(ge=1, le=604_800)]


class TelemetryConfig(BaseModel):
    """Section `telemetry` of the config."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metrics_host: str = Field(
        default="127.0.0.1", description="Address on which metrics, `/health` and `/ready` are served."
    )
    metrics_port: int = Field(
        default=9101, ge=0, le=65_000, description="Port of worker 0; worker n has this port plus n. 0 serves none."
    )
    ready_lag_ms: int = Field(
        default=10_000,
        ge=1,
        le=86_400_000,
        description="A worker that lags by more than this many milliseconds is not ready.",
    )
    symbol_label: bool = Field(
        default=False, description="Whether metrics have a label for symbols, at the cost of time series for each."
    )
    max_silence_s: dict[_Provider, _Seconds] = Field(
        default={},
        max_length=MOST_PROVIDERS,
        description="By provider, after how many seconds without an event the alert MdpFeedSilent fires.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Log lines below this level are left out."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto", description="Text lines or JSON; `auto`: text on a terminal, JSON elsewhere."
    )
