"""Section `replay`: what may be asked of `mdp stream replay-service`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from contracts.duration import parse_duration

Domain = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(/[a-z0-9_]+)*$")]
Topic = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]


class ReplaySection(BaseModel):
    """Section `replay`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: dict[Domain, Topic] = Field(
        default={},
        description="Topics of canonical envelopes by domain, such as `{trades: desk.trades}`. Events, bars and "
        "signals are known without, and so are stored types of messages, `utp.<env>.<realm>.<event_type>`.",
    )
    targets: tuple[Topic, ...] = Field(
        default=(),
        description="Topics that a request may name as its target, besides `bus.kafka.replay_topic`. Never one that "
        "mdp reads or writes itself.",
    )
    max_span: str = Field(default="31d", description="The longest window of event time that a request may ask for.")
    max_records: int = Field(default=10_000_000, ge=1, description="Records that are sent for a request at most.")
    max_open: int = Field(default=16, ge=1, le=1_000, description="Requests that may be waiting or running at once.")
    records_per_s: float = Field(default=5_000.0, gt=0, description="Records sent per second.")

    @field_validator("max_span")
    @classmethod
    def _is_a_duration(cls, text: str) -> str:
        parse_duration(text)
        return text

    @property
    def max_span_ns(self) -> int:
        return parse_duration(self.max_span)
