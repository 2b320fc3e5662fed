"""What the sections of a manifest share."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from contracts.duration import parse_duration

_NS_PER_S: Final = 1_000_000_000


class Section(BaseModel):
    """A section: its keys are known, and values have the types that they are written with."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def seconds(duration: str) -> float:
    """The seconds of a text such as 30s."""
    return parse_duration(duration) / _NS_PER_S


def _checked(text: str) -> str:
    parse_duration(text)
    return text


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Duration = Annotated[str, AfterValidator(_checked)]
AS_TUPLE: Final = BeforeValidator(_as_tuple)  # YAML has lists
Texts = Annotated[tuple[str, ...], AS_TUPLE]
