"""What rows of a mapped file become: the words of its map, and the columns of the frames that are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import polars as pl

from connectors.files.maps import TIME, FileMap, MapError
from contracts.columns import polars_schema
from contracts.event import EVENT_V1, WIRE
from contracts.fields import Field
from contracts.message import MessageType
from contracts.payloads.trades import TRADES_V2
from contracts.registry import message_type
from contracts.suggestions import did_you_mean

# The kinds of fields that a cell can hold; that of a struct only in formats that have such cells.
CELLS: Final = ("text", "time", "number", "integer", "struct")

# What every message has, under the names that frames of files have for it.
_COMMON: Final = {"provider": "provider", TIME: "src_ts", "sequence": "seq", "event_id": "event_id"}
# Words of events, which have shorter names in Event v1.
_OF_TICKS: Final = {"symbol": "symbol", "price": "c", "size": "v"}
_OF_BARS: Final = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v", "interval": "interval"}


@dataclass(frozen=True, slots=True)
class Target:
    """What the rows of a file become.

    Attributes:
        kind: their type.
        fields: by the words of the map, the columns of a frame.
        schema: the columns of a frame with their types; times are int64 nanoseconds.
        times: those of them that are times.
        choices: by column, the few values that it can have.
        constants: columns that are the same in every row.
    """

    kind: MessageType
    fields: Mapping[str, str]
    schema: pl.Schema
    times: tuple[str, ...]
    choices: Mapping[str, tuple[str | int, ...]]
    constants: Mapping[str, str]

    def is_read(self, field: str) -> bool:
        """Whether a column is needed: texts that an event has no place for are not even looked at."""
        return self.kind is not EVENT_V1 or field in WIRE or field in self.choices


def target_of(columns: FileMap) -> Target:
    """What the rows of files become that have this map.

    Raises:
        ContractError: its type is unknown.
        MapError: it has a field that its type does not have, or lacks one that the type needs.
    """
    kind = message_type(columns.type)
    if kind is EVENT_V1:
        return _of_events(columns)
    if kind.event_type is None:
        raise MapError(f"{kind.id} is sent without an envelope: a file is mapped to events/v1, or to a type with one")
    known = _of_type(kind)
    needed = [field.name for field in kind.fields if field.required]
    return _checked(columns, known, needed)


def _of_events(columns: FileMap) -> Target:
    """Ticks have the words of trades, too: what an event has no place for is checked, and left out."""
    is_bar = "close" in columns.columns
    own, needed = (_OF_BARS, [*_OF_BARS]) if is_bar else (_OF_TICKS, ["price", "size"])
    trade = _of_type(TRADES_V2)
    fields = {**trade.fields, **_COMMON, "symbol": "symbol", **own}
    if is_bar:
        fields = {word: field for word, field in fields.items() if word not in ("price", "size")}
    schema = pl.Schema({**{name: trade.schema[name] for name in trade.schema if name in fields.values()}, **WIRE})
    constants = {"kind": "bar" if is_bar else "tick"}
    known = Target(EVENT_V1, fields, schema, ("src_ts",), trade.choices, constants)
    return _checked(columns, known, ["symbol", *needed])


@cache
def _of_type(kind: MessageType) -> Target:
    mapped = [field for field in kind.fields if field.kind in CELLS]
    taken = [field.name for field in mapped if field.name in (*_COMMON, *_COMMON.values())]
    if taken:
        raise MapError(
            f"{kind.id} has a field {taken[0]}, which is a word of every map: it cannot be mapped from files"
        )
    types = polars_schema(kind.struct)
    schema = pl.Schema(
        {**{name: WIRE[name] for name in _COMMON.values()}, **{one.name: types[one.name] for one in mapped}}
    )
    times = ("src_ts", *(field.name for field in mapped if field.kind == "time"))
    return Target(kind, {**_COMMON, **{one.name: one.name for one in mapped}}, schema, times, _choices(mapped), {})


def _choices(fields: list[Field]) -> dict[str, tuple[str | int, ...]]:
    return {field.name: field.choices for field in fields if field.choices}


def _checked(columns: FileMap, known: Target, needed: list[str]) -> Target:
    for word in columns.columns:
        if word not in known.fields:
            raise MapError(f"columns.{word}: {known.kind.id} has no such field{did_you_mean(word, known.fields)}")
    missing = [word for word in ("provider", *needed) if word not in columns.columns]
    if missing:
        raise MapError(f"columns lacks {', '.join(missing)}, which every message of {known.kind.id} has")
    for word, source in columns.columns.items():
        _check_conversion(word, source.model_fields_set, known)
    return known


def _check_conversion(word: str, keys: set[str], known: Target) -> None:
    field = known.fields[word]
    of_times = keys & {"unit", "format", "day", "zone"}
    if of_times and field not in known.times:
        raise MapError(f"columns.{word}.{min(of_times)} is for times, and {word} is none")
    if "scale" in keys and not known.schema[field].is_float():
        raise MapError(f"columns.{word}.scale is for numbers, and {word} is none")
