"""Section `normalize`: the raw topics of venues, and what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]  # a part of the names of topics
Topic = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]


class RawTopic(BaseModel):
    """A raw topic that somebody else fills."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topic: Topic = Field(description="The topic; records in any order of partitions, with JSON of the venue as values.")
    mapping: Path = Field(description="The file of its mappings, see [normalizing](normalize.md#mappings).")
    source_id: str = Field(description="The provider that envelopes name.")
    realm: Name | None = Field(default=None, description="Whose bus it is; null: `messages.realm`.")
    region: str | None = Field(default=None, description="Where messages are taken in: US, EU, JP.")
    unmapped: Literal["reject", "skip"] = Field(
        default="reject", description="What to do with messages that no mapping is for: to the DLQ, or left out."
    )


class NormalizeSection(BaseModel):
    """Section `normalize`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: tuple[RawTopic, ...] = Field(default=(), description="The raw topics that `normalize` reads.")

    @field_validator("sources")
    @classmethod
    def _are_different(cls, sources: tuple[RawTopic, ...]) -> tuple[RawTopic, ...]:
        names = [source.topic for source in sources]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice} is named twice: a topic has one mapping file, which may hold several mappings")
        return sources

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that are read."""
        return tuple(source.topic for source in self.sources)

    def source(self, topic: str) -> RawTopic:
        """The source of this name."""
        return next(source for source in self.sources if source.topic == topic)
