"""The length of windows, and how long a window waits for late events."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from contracts.duration import format_duration

_DAY_MS: Final = 86_400_000
_UNLIMITED: Final = 2**31 - 1
_Wait = Annotated[int, Field(ge=0, le=7 * _DAY_MS)]


class WindowConfig(BaseModel):
    """Section `micro_batch` of the config; all in milliseconds but the batch size."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_ms: int = Field(
        default=2_000, ge=1, le=_DAY_MS, description="Length of a tumbling window, aligned to the Unix epoch."
    )
    allow_late_ms: _Wait = Field(
        default=500, description="How far the watermark stays behind the newest event of a provider."
    )
    amend_ms: _Wait = Field(default=10_000, description="How long a closed window can still be corrected.")
    flush_timeout_ms: int = Field(
        default=1_000,
        ge=10,
        le=_DAY_MS,
        description="Silence of a provider after which a heartbeat moves its watermark on.",
    )
    max_future_ms: _Wait = Field(
        default=5_000, description="How far an event may lie ahead of its record's own timestamp."
    )
    max_batch_size: int = Field(
        default=30_000,
        ge=1,
        le=1_000_000,
        description="Most records in a batch of a partition, fewer with more than eight partitions.",
    )

    max_symbols: int = Field(
        default=25_000,
        ge=1,
        le=_UNLIMITED,
        description="Most symbols of a partition, counted for each provider, within about two of the longest spans of "
        "features; events of more are rejected as `too_many_symbols`.",
    )
    max_providers: int = Field(
        default=1_000,
        ge=1,
        le=_UNLIMITED,
        description="Most providers of a partition, ever; events of more are rejected as `too_many_providers`.",
    )

    @property
    def window_ns(self) -> int:
        return self.window_ms * 1_000_000

    @property
    def allow_late_ns(self) -> int:
        return self.allow_late_ms * 1_000_000

    @property
    def amend_ns(self) -> int:
        return self.amend_ms * 1_000_000

    @property
    def interval(self) -> str:
        """The window's length as text, as in the column interval of every bar: 2s, 1m."""
        return format_duration(self.window_ns)

    @property
    def without_limits(self) -> WindowConfig:
        """The same for any number of symbols and providers."""
        return self.model_copy(update={"max_symbols": _UNLIMITED, "max_providers": _UNLIMITED})
