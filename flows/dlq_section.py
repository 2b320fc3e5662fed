"""Section `dlq`: what `mdp dlq auto` sends back by itself."""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_STORE: Final = "store"  # as a reason: the database refused a row, which is no event


class AutoRule(BaseModel):
    """What to do with records of one reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")] = Field(
        description="The reason of the records, such as `future` or `contract`."
    )
    fix: str | None = Field(default=None, description="Fix each event by this jq expression, as `--fix` does.")
    fix_with: str | None = Field(default=None, description="Fix each event by this installed function.")
    max_retries: int = Field(
        default=3, ge=1, le=100, description="An event that was sent back this often stays in the DLQ."
    )
    backoff_s: float = Field(
        default=60.0,
        ge=0,
        le=86_400,
        description="Seconds from the refusal to the first retry, up to half as much again by chance; each further "
        "retry waits twice as long, at most a day.",
    )

    @model_validator(mode="after")
    def _can_be_done(self) -> Self:
        if self.reason == _STORE:
            raise ValueError(f"{_STORE}: rows that the database refused are no events, and cannot be sent back")
        if self.fix is not None and self.fix_with is not None:
            raise ValueError("use either fix or fix_with")
        return self


class AutoSection(BaseModel):
    """Section `dlq.auto`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: tuple[AutoRule, ...] = Field(
        default=(AutoRule(reason="future"),),
        description="One for each reason of which records are sent back; all others stay.",
    )
    interval_s: float = Field(default=10.0, ge=0.1, le=3_600, description="Seconds between looks at the DLQ.")
    rate: float = Field(default=500.0, ge=0.1, description="Events sent per second.")
    max_waiting: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Records held in memory until their retry; others are read later.",
    )

    @model_validator(mode="after")
    def _have_different_reasons(self) -> Self:
        reasons = [rule.reason for rule in self.rules]
        twice = next((reason for reason in reasons if reasons.count(reason) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice} has two rules: give each reason one")
        return self


class DlqSection(BaseModel):
    """Section `dlq`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    auto: AutoSection = AutoSection()
