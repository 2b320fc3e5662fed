"""Event v1: the fields of records on the events topic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, cast

import msgspec
import polars as pl
from msgspec import Meta

from contracts.columns import joined, polars_schema, time_fields
from contracts.message import MessageType
from contracts.values import (
    DURATION_PATTERN,
    MAX_PRICE,
    MAX_TEXT_BYTES,
    MAX_VOLUME,
    WITHOUT_NUL,
    Int64,
    Time,
    about,
)

VERSION: Final = 1
BAR: Final = "bar"
KINDS: Final = ("tick", BAR, "heartbeat")

# A window around a time this close to the end of int64 would overflow: a year is far more than any window.
TIME_BOUND: Final = 2**63 - 1 - 366 * 86_400 * 10**9

# Bounds stand in the JSON Schema only: `contracts.event_rules` look at whole columns, and name what is wrong.
_Text = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_TEXT_BYTES, "pattern": WITHOUT_NUL})]
_Price = Annotated[
    float,
    Meta(extra_json_schema={"minimum": -MAX_PRICE, "maximum": MAX_PRICE, "x-unit": "currency per unit"}),
]
_Volume = Annotated[
    float, Meta(extra_json_schema={"minimum": 0, "maximum": MAX_VOLUME, "x-unit": "units of the symbol"})
]
_Kind = Annotated[str, Meta(extra_json_schema={"enum": list(KINDS)})]
_Duration = Annotated[str, Meta(extra_json_schema={"pattern": DURATION_PATTERN})]

_ALL, _MARKET, _BARS = KINDS, KINDS[:2], (BAR,)  # the kinds of events that have to have a field


class Event(msgspec.Struct, gc=False):
    """A tick, a bar or a heartbeat.

    A field that is null counts as missing; other fields are ignored, so are o, h, l and interval of what is no bar. Not
    said here: l <= o, c <= h; the interval of a bar divides the window; texts have at most 256 bytes of UTF-8; src_ts
    exists in the calendar, and is not too far ahead of the record's own timestamp.
    """

    ver: Annotated[Literal[1], about("Version of the format.")] = 1
    provider: Annotated[_Text, about("Who sends it: a feed has a watermark of its own.", needed_by=_ALL)] | None = None
    symbol: Annotated[_Text, about("What is traded; the key of the record.", needed_by=_MARKET)] | None = None
    kind: Annotated[_Kind, about("tick, bar or heartbeat.", needed_by=_ALL)] | None = None
    interval: Annotated[_Duration, about("Length of a bar, which divides the window.", needed_by=_BARS)] | None = None
    src_ts: Annotated[Time, about("When it happened; of a bar its start.", needed_by=_ALL)] | None = None
    ingest_ts: Annotated[Time, about("When the producer saw it; nobody reads it.", is_read=False)] | None = None
    o: Annotated[_Price, about("Open of a bar.", needed_by=_BARS)] | None = None
    h: Annotated[_Price, about("High of a bar.", needed_by=_BARS)] | None = None
    l: Annotated[_Price, about("Low of a bar.", needed_by=_BARS)] | None = None
    c: Annotated[_Price, about("Price of a tick, close of a bar.", needed_by=_MARKET)] | None = None
    v: Annotated[_Volume, about("Volume.", needed_by=_MARKET)] | None = None
    seq: Annotated[Int64, about("Orders events of one time, and with it tells them apart.")] | None = None
    event_id: Annotated[_Text, about("Tells events apart; derived where it is absent.")] | None = None


def _event_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Which fields are needed and which are looked at depends on the kind."""
    properties = {name: value for name, value in schema["properties"].items() if name in READ}
    of_bars = {name: properties.pop(name) for name in OF_BARS}
    conditions = [
        _present(*NEEDED_BY_ALL),
        {"if": _is_kind("heartbeat"), "else": _present(*NEEDED_BY_MARKET)},
        {"if": _is_kind(BAR), "then": {"properties": of_bars}},
        {"if": _is_kind(BAR), "then": _present(*of_bars)},
    ]
    return {**schema, "properties": properties, "allOf": conditions}


def _present(*names: str) -> dict[str, Any]:
    """These are there, and not null."""
    return {"required": list(names), "properties": {name: {"not": {"type": "null"}} for name in names}}


def _is_kind(kind: str) -> dict[str, Any]:
    return {"properties": {"kind": {"const": kind}}, "required": ["kind"]}


EVENT_V1: Final = MessageType(
    name="events",
    version="1.0.0",
    struct=Event,
    refine=_event_schema,
    examples=(
        {
            "ver": 1,
            "provider": "ibkr_primary",
            "symbol": "SPY",
            "kind": "tick",
            "src_ts": "2025-10-24T14:02:01.234567Z",
            "c": 425.15,
            "v": 1200,
        },
        {
            "ver": 1,
            "provider": "ibkr_primary",
            "symbol": "SPY",
            "kind": "bar",
            "interval": "30s",
            "src_ts": "2025-10-24T14:02:00Z",
            "o": 425.1,
            "h": 425.2,
            "l": 425.0,
            "c": 425.15,
            "v": 1200,
        },
        {"ver": 1, "provider": "ibkr_primary", "kind": "heartbeat", "src_ts": "2025-10-24T14:02:01Z"},
    ),
)

FIELDS: Final = {field.name: field for field in EVENT_V1.fields}


def _needed_by(*kinds: str) -> tuple[str, ...]:
    """The fields that exactly these kinds of events have to have."""
    return tuple(name for name, field in FIELDS.items() if field.extra.get("needed_by") == kinds)


READ: Final = tuple(name for name, field in FIELDS.items() if field.extra.get("is_read", True))
NEEDED_BY_ALL: Final = _needed_by(*_ALL)
NEEDED_BY_MARKET: Final = _needed_by(*_MARKET)
OF_BARS: Final = _needed_by(*_BARS)
TICK: Final = tuple(name for name in READ if name not in (*OF_BARS, "ver"))  # what is read of a tick
NEEDED_BY_TICKS: Final = tuple(name for name in TICK if name in (*NEEDED_BY_ALL, *NEEDED_BY_MARKET))


def scanned(*names: str) -> tuple[str, ...]:
    """The fields of a tick in the order in which a compiled scanner has them.

    Raises:
        ValueError: they are not what is read of a tick: the declaration has changed, and the scanner has to follow.
    """
    if set(names) != set(TICK):
        raise ValueError(f"a scanner reads {', '.join(names)}, and a tick has {', '.join(TICK)}")
    return names


def _reading(names: Sequence[str]) -> type[Event]:
    """An event of which these fields are read, and others are skipped, whatever they hold.

    Everything is optional, so that a missing field is reported by name, together with whatever else is wrong, by
    `contracts.event_rules`, which look at whole columns.
    """
    fields = [(one.name, one.type, one.default) for one in msgspec.structs.fields(Event) if one.name in names]
    return cast("type[Event]", msgspec.defstruct("Event", fields, gc=False))


AnyEvent: Final = _reading(["ver", *TICK])  # of any kind: those that are no bars may hold anything in the other fields
BarEvent: Final = _reading(READ)

# The columns of events as they are written down, in their order; times are int64 nanoseconds.
WIRE: Final = pl.Schema({name: dtype for name, dtype in polars_schema(Event).items() if name != "ver"})
TIMES: Final = time_fields(Event)

# The origin of a row: the index of its record in the fetch, its position in the log, the record's timestamp.
PLACE: Final = {"record": pl.Int64, "offset": pl.Int64, "row": pl.Int64, "record_ts": pl.Int64}

# Of the columns below, `src_ts` holds nanoseconds, or null if the record's text, in `src_text`, is not a time;
# `flaw` holds errors that the other columns cannot show. Columns of bars are null for other kinds.
_JUDGED: Final = {name: WIRE[name] for name in READ if name != "ver"}
PARSED: Final = joined(
    PLACE,
    {name: dtype for name, dtype in _JUDGED.items() if name != "src_ts"},
    {"src_text": pl.String, "flaw": pl.String, "src_ts": pl.Int64},
)
