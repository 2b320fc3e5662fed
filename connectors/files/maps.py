"""The maps of files: which columns of a file become which fields of a message.

    type: events/v1                     # or trades/v2, quotes/v2 and so on, which travel in envelopes
    columns:
      provider: { value: binance }
      symbol: { file: '([A-Z0-9]+)-trades-' }
      time: { column: 5, unit: ms }     # the fifth column of a file without a header
      price: 2
      size: 3
      side: { column: 6, values: { true: sell, false: buy } }
      sequence: 1

Maps that come with mdp are presets, the files in `presets`; a map that `uses` one changes some of its columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from connectors.files.errors import FileError
from contracts.documents import Place, first_problem, read_document
from contracts.moments import zone_of
from contracts.suggestions import did_you_mean

Number = Annotated[int, Field(ge=1, le=10_000)]
Column = str | Number  # its name, or its number from 1
Scalar = str | int | float | bool
Format = Literal["csv", "tsv", "ndjson", "json", "parquet", "arrow", "dbn"]

PRESETS: Final = Path(__file__).with_name("presets")
TIME: Final = "time"

_WAYS: Final = ("column", "value", "file", "key")
_CHOICES: Final = ("str", "int", "float", "bool", "constrained-int")  # pydantic's names for those of a union
_CONVERSIONS: Final = ("values", "scale", "unit", "format")


class MapError(FileError):
    """A map is invalid, or does not fit a file; one line names the key and what is allowed."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SourceConfig(_Part):
    """Where the values of a field come from, and how they are converted."""

    column: Column | list[Column] | None = Field(default=None, description="The name of a column, or its number.")
    value: Any = Field(default=None, description="What it always is.")
    file: str | None = Field(default=None, description="A regular expression, whose group is found in the file's name.")
    key: Literal["*"] | None = Field(default=None, description="The name that `*` in `each` stands for.")
    values: dict[Scalar, Scalar | None] | None = Field(default=None, description="What stands for which word.")
    scale: float | None = Field(default=None, gt=0, allow_inf_nan=False, description="What a number is multiplied by.")
    unit: Literal["s", "ms", "us", "ns"] | None = Field(default=None, description="Of numeric times.")
    format: str | None = Field(default=None, min_length=1, description="Of written times, as strptime has it.")
    day: str | None = Field(default=None, description="Finds the day YYYYMMDD that times of a day belong to.")
    zone: str | None = Field(default=None, description="Of times without one.")

    @field_validator("file", "day")
    @classmethod
    def _has_one_group(cls, pattern: str | None) -> str | None:
        try:
            groups = 1 if pattern is None else re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
        if groups != 1:
            raise ValueError(f"{pattern!r} needs one group in parentheses: what of the file's name is meant")
        return pattern

    @field_validator("scale", mode="before")
    @classmethod
    def _is_number(cls, scale: Any) -> Any:
        """YAML takes 1e-9 for a text."""
        try:
            return float(scale) if isinstance(scale, str | int) and not isinstance(scale, bool) else scale
        except ValueError:
            return scale

    @field_validator("zone")
    @classmethod
    def _is_zone(cls, zone: str | None) -> str | None:
        return None if zone is None else zone_of(zone).key

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        given = [name for name in _WAYS if name in self.model_fields_set]
        if len(given) != 1:
            raise ValueError(f"give it one of {', '.join(_WAYS)}")
        conversions = [name for name in _CONVERSIONS if getattr(self, name) is not None]
        if len(conversions) > 1:
            raise ValueError(f"{' and '.join(conversions)} exclude each other")
        if given == ["value"] and conversions:
            raise ValueError(f"{conversions[0]} is not for a value, which is what it is")
        if self.day is not None and self.unit is None:
            raise ValueError("day is for times that count from midnight: give their unit")
        return self


class FileMap(_Part):
    """A map: the columns of files, and what becomes of them."""

    type: str = Field(default="events/v1", description="What the rows become: `events/v1`, or a type in envelopes.")
    uses: str | None = Field(default=None, description="The preset that this map changes.")
    format: Format | None = Field(default=None, description="Of the files; otherwise as their names or contents say.")
    delimiter: str | None = Field(default=None, min_length=1, max_length=1, description="Between cells of CSV.")
    header: bool | None = Field(default=None, description="Whether the first line of CSV names the columns.")
    each: str | None = Field(default=None, description="Where the rows of a JSON document lie: `data`, `result.*`.")
    columns: dict[str, SourceConfig] = Field(description="The fields, and where the values of each come from.")

    @field_validator("columns", mode="before")
    @classmethod
    def _columns_alone(cls, columns: Any) -> Any:
        """A column may stand for itself, and several, whose texts are joined by a blank."""
        if not isinstance(columns, dict):
            return columns
        return {name: {"column": one} if isinstance(one, str | int | list) else one for name, one in columns.items()}

    @field_validator("delimiter")
    @classmethod
    def _is_a_sign(cls, sign: str | None) -> str | None:
        if sign is not None and (not sign.isascii() or sign in '"\r\n'):
            raise ValueError(f"{sign!r} cannot stand between cells")
        return sign

    @model_validator(mode="after")
    def _has_a_time(self) -> Self:
        if TIME not in self.columns or self.columns[TIME].column is None:
            raise ValueError(f"columns.{TIME} is missing: name the column with the time of each row")
        names = [name for name in self.read if isinstance(name, str)]
        if self.header is False and names:
            raise ValueError(f"header is false, so that columns have numbers, and no name such as {names[0]}")
        if any(source.key for source in self.columns.values()) and "*" not in (self.each or "").split("."):
            raise ValueError("key is the name that * stands for: each has none")
        return self

    @property
    def read(self) -> tuple[Column, ...]:
        """The columns that are read, each once."""
        found: dict[Column, None] = {}
        for source in self.columns.values():
            if source.column is not None:
                found |= dict.fromkeys(source.column if isinstance(source.column, list) else [source.column])
        return tuple(found)

    @property
    def zone(self) -> ZoneInfo | None:
        """Of the time of rows, where the map names it."""
        zone = self.columns[TIME].zone
        return None if zone is None else ZoneInfo(zone)


def load_map(name: str) -> FileMap:
    """The map in a file, or the preset of this name.

    Raises:
        MapError: there is none, or it is invalid.
    """
    if name in presets():
        return _preset(name)
    file = Path(name)
    if not file.is_file():
        known = did_you_mean(name, presets()) or f"; there are {', '.join(presets())}"
        raise MapError(f"{name} is neither a file nor one of the presets{known}")
    return parse_map(_content(file), str(file))


@cache
def presets() -> tuple[str, ...]:
    """The names of the maps that come with mdp."""
    return tuple(sorted(file.stem for file in PRESETS.glob("*.yaml")))


@cache
def _preset(name: str) -> FileMap:
    return parse_map(_content(PRESETS / f"{name}.yaml"), f"preset {name}")


def parse_map(entry: Any, place: str = "the map") -> FileMap:
    """A map out of what YAML has, with what it takes over from the preset that it uses.

    Raises:
        MapError: it is invalid.
    """
    try:
        if isinstance(entry, dict) and isinstance(entry.get("uses"), str):
            entry = _joined(entry, place)
        return FileMap.model_validate(entry)
    except ValidationError as error:
        raise MapError(f"{place}{first_problem(error, _known_keys, _named)}") from None


def _joined(entry: dict[str, Any], place: str) -> dict[str, Any]:
    base = entry["uses"]
    if base not in presets():
        raise MapError(f"{place}: uses: there is no preset {base}{did_you_mean(base, presets())}")
    shared = _content(PRESETS / f"{base}.yaml")
    columns = entry.get("columns", {})
    return {**shared, **entry, "columns": {**shared["columns"], **columns} if isinstance(columns, dict) else columns}


def _content(file: Path) -> Any:
    content = read_document(file, "the map", MapError)
    if not isinstance(content, dict):
        raise MapError(f"{file}: expected a map with columns, such as price and time")
    return content


def _known_keys(section: Place) -> Iterable[str]:
    return (SourceConfig if section else FileMap).model_fields


def _named(place: Place) -> str:
    """Where a problem is, without the names that pydantic gives to the choices of a union."""
    return ".".join(str(part) for part in place if part not in _CHOICES and "[" not in str(part))
