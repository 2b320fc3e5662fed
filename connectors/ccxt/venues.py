"""What has to be known of a venue: the file venues.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from contracts.duration import parse_duration

_FILE: Final = Path(__file__).with_name("venues.yaml")
_NS_PER_MS: Final = 1_000_000


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Backwards(_Part):
    """How an API is asked for what was before a time, in milliseconds."""

    until: str
    rounding_ms: int = 1
    others: dict[str, str] = Field(default_factory=dict)


class Venue(_Part):
    """What the file says of a venue; the defaults are those of a venue that it does not list."""

    options: dict[str, Any] = Field(default_factory=dict)
    numbered: bool = False
    page: int | None = None
    window: str | None = None
    since: str | None = None
    backwards: Backwards | None = None

    @property
    def window_ms(self) -> int | None:
        return None if self.window is None else parse_duration(self.window) // _NS_PER_MS


def venue(name: str) -> Venue:
    """Of a venue by the name that ccxt has for it."""
    return _listed().get(name, Venue())


@cache
def _listed() -> Mapping[str, Venue]:
    content = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return TypeAdapter(dict[str, Venue]).validate_python(content)
