"""Where a worker shows how it is doing."""

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
        default=9101, ge=0, le=65_000, description="Port of worker 0; worker n has the n-th after it. 0 serves none."
    )
    ready_lag_ms: int = Field(
        default=10_000,
        ge=1,
        le=86_400_000,
        description="A worker that lags more than this many milliseconds behind is not ready.",
    )
    symbol_label: bool = Field(
        default=False, description="Whether metrics tell symbols apart, at the cost of series for each of them."
    )
    max_silence_s: dict[_Provider, _Seconds] = Field(
        default={},
        max_length=MOST_PROVIDERS,
        description="By provider, after how many seconds without an event the alert MdpFeedSilent fires.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Lines of the log below this level are left out."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto", description="A line for people, or JSON; `auto`: for people on a terminal, and JSON elsewhere."
    )
