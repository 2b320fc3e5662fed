"""Section `connect`: what connectors share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class BackPressureConfig(BaseModel):
    """When consumers that are behind hold the sources back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: str | None = Field(
        default=None,
        description="The consumer group whose lag on the topics of a connector counts; null: only the producer's queue "
        "holds a source back. Flows commit their offsets with each snapshot, so that their lag has steps.",
    )
    most_records: int = Field(
        default=1_000_000,
        ge=1,
        description="A source is held back while the group is more than this behind, until it is half of it.",
    )


class ConnectSection(BaseModel):
    """Section `connect`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    region: str | None = Field(default=None, description="Where messages are taken in, as envelopes say: US, EU, JP.")
    back_pressure: BackPressureConfig = BackPressureConfig()
    stop_s: float = Field(
        default=10.0, gt=0, le=600, description="How many seconds a stop waits until Kafka has all that was taken in."
    )
