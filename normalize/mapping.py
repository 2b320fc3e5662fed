"""The files of mappings: which fields of a venue's messages become which fields of a canonical type.

    type: trades/v2
    where: { channel: trade }           # which messages; without it all
    each: data                          # the list whose items are trades, if a message holds several
    event_time: { path: ts, unit: ms }  # iso (the default), s, ms, us or ns
    sequence: seq
    fields:
      symbol: product_id
      price: px
      size: { path: qty, scale: 0.001 }
      side: { path: taker, values: { b: buy, s: sell } }
      venue: { value: COINBASE }

In place of `fields`, `jq` holds a program, or `python` names a function. A file holds one mapping, or a list of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path as File
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from contracts.documents import Place, first_problem, read_document
from normalize.paths import MappingError, Path

Scalar = str | int | float | bool
TimeUnit = Literal["iso", "s", "ms", "us", "ns"]

_WAYS: Final = ("fields", "jq", "python")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FieldConfig(_Part):
    """Where the value of a field comes from: a path, or a constant."""

    path: str | None = Field(default=None, description="Where it lies in the message.")
    value: Any = Field(default=None, description="What it always is.")
    values: dict[Scalar, Scalar] | None = Field(default=None, description="What stands for which of the venue's words.")
    scale: float | None = Field(default=None, gt=0, allow_inf_nan=False, description="What a number is multiplied by.")
    unit: TimeUnit | None = Field(default=None, description="Of a time: iso, s, ms, us or ns since the epoch.")

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        if (self.path is None) == ("value" not in self.model_fields_set):
            raise ValueError("give it a path or a value, and one of them only")
        if self.path is None and self.model_fields_set - {"value"}:
            raise ValueError("values, scale and unit are for a path")
        if len({"values", "scale", "unit"} & self.model_fields_set) > 1:
            raise ValueError("values, scale and unit exclude each other")
        return self


class TimeConfig(_Part):
    """Where the time of an event lies, and how it is written."""

    path: str = Field(description="Where it lies in the message.")
    unit: TimeUnit = Field(default="iso", description="How it is written: iso, or s, ms, us or ns since the epoch.")


class MappingConfig(_Part):
    """One mapping."""

    type: str = Field(description="The type of the messages that it leads to, such as trades/v2.")
    where: dict[str, Scalar | list[Scalar]] = Field(default_factory=dict, description="What a message must say.")
    each: str | None = Field(default=None, description="The list whose items are mapped one by one.")
    event_time: TimeConfig | None = Field(default=None, description="When it happened.")
    sequence: str | None = Field(default=None, description="Where the source's own number lies, if there is one.")
    event_id: str | None = Field(default=None, description="Where the source's own id lies, if it is to be kept.")
    fields: dict[str, FieldConfig] | None = Field(default=None, description="Where each field lies.")
    jq: str | None = Field(default=None, description="A program that returns messages.")
    python: str | None = Field(default=None, description="A function that returns messages, as `module:function`.")

    @field_validator("fields", mode="before")
    @classmethod
    def _paths_alone(cls, fields: Any) -> Any:
        """A path may stand for itself."""
        if not isinstance(fields, dict):
            return fields
        return {name: {"path": one} if isinstance(one, str) else one for name, one in fields.items()}

    @field_validator("event_time", mode="before")
    @classmethod
    def _path_alone(cls, time: Any) -> Any:
        return {"path": time} if isinstance(time, str) else time

    @model_validator(mode="after")
    def _is_mapped_in_one_way(self) -> Self:
        given = [name for name in _WAYS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give it one of {', '.join(_WAYS)}")
        others = [name for name in ("each", "event_time", "sequence", "event_id") if getattr(self, name) is not None]
        if given != ["fields"] and others:
            raise ValueError(f"{given[0]} returns it with the message: leave out {', '.join(others)}")
        if given == ["fields"] and self.event_time is None:
            raise ValueError("event_time is missing: every message has one")
        return self


def load_mappings(file: File) -> tuple[MappingConfig, ...]:
    """The mappings of a file, in their order.

    Raises:
        MappingError: it cannot be read, or a mapping in it is invalid.
    """
    content = read_document(file, "the mapping", MappingError)
    if not isinstance(content, dict | list) or not content:
        raise MappingError(f"{file}: expected a mapping with a type, or a list of mappings")
    entries = content if isinstance(content, list) else [content]
    return tuple(parse_mapping(entry, place) for entry, place in zip(entries, _places(file, content), strict=True))


def parse_mapping(entry: Any, place: str = "the mapping") -> MappingConfig:
    """A mapping out of what YAML has.

    Args:
        entry: a mapping of keys.
        place: what errors name it by.

    Raises:
        MappingError: it is invalid.
    """
    try:
        mapping = MappingConfig.model_validate(entry)
    except ValidationError as error:
        raise MappingError(f"{place}{first_problem(error, _known_keys)}") from None
    for path in _paths(mapping):
        try:
            parsed = Path.parse(path)
        except MappingError as error:
            raise MappingError(f"{place}: {error}") from None
        if parsed.is_outer and mapping.each is None:
            raise MappingError(f"{place}: {path}: without `each` paths begin at the whole message: leave out ^")
    return mapping


def _places(file: File, content: Any) -> Iterator[str]:
    if not isinstance(content, list):
        yield str(file)
    else:
        yield from (f"{file}: mapping {number}" for number in range(1, len(content) + 1))


def _paths(mapping: MappingConfig) -> Iterator[str]:
    given = (mapping.each, mapping.sequence, mapping.event_id, mapping.event_time and mapping.event_time.path)
    yield from filter(None, (*given, *mapping.where))
    yield from (field.path for field in (mapping.fields or {}).values() if field.path is not None)


def _known_keys(section: Place) -> Iterable[str]:
    model = TimeConfig if section == ("event_time",) else FieldConfig if section else MappingConfig
    return model.model_fields
