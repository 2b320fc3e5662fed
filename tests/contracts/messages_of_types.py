"""Messages of any type, generated from its declaration."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st

from contracts.fields import Field
from contracts.json_schema import json_schema
from contracts.message import MessageType
from contracts.timestamps import format_timestamp, parse_timestamp
from contracts.values import TIME_PATTERN, WITHOUT_NUL

YEAR_NS = 366 * 86_400 * 10**9
TIMES = st.integers(-(2**63) + YEAR_NS, 2**63 - YEAR_NS).map(format_timestamp)
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
JSON = st.dictionaries(WORDS, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS, max_size=3)

Message = dict[str, Any]


def messages(kind: MessageType) -> st.SearchStrategy[Message]:
    """Messages as JSON has them, each of which keeps its contract."""
    properties = json_schema(kind)["properties"]
    required = {field.name: _values(field, properties.get(field.name, {})) for field in kind.fields if field.required}
    optional = {
        field.name: _values(field, properties.get(field.name, {})) for field in kind.fields if not field.required
    }
    drawn: st.SearchStrategy[Message] = st.fixed_dictionaries(required, optional=optional)
    return drawn.map(KEPT.get(kind.id, dict))


def _values(field: Field, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    values = _present(field, schema)
    return st.none() | values if field.nullable else values


def _present(field: Field, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if field.choices:
        return st.sampled_from(field.choices)
    if field.kind in ("list", "tuple", "struct"):
        return _nested(field, schema)
    least, most = field.bounds
    return {
        "time": TIMES,
        "text": _texts(schema),
        "number": st.floats(least, most, allow_nan=False, allow_infinity=False),
        "integer": st.integers(None if least is None else int(least), None if most is None else int(most)),
        "flag": st.booleans(),
        "object": JSON,
    }[field.kind]


def _nested(field: Field, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    least = field.bounds[0]
    match field.kind:
        case "list":
            return st.lists(_present(field.parts[0], schema.get("items", {})), min_size=int(least or 0), max_size=5)
        case "tuple":
            return st.tuples(*(_present(part, {}) for part in field.parts)).map(list)
        case _:
            inner = schema["properties"]
            return st.fixed_dictionaries({part.name: _values(part, inner[part.name]) for part in field.parts})


def _texts(schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    pattern = schema.get("pattern", WITHOUT_NUL)
    if pattern in (WITHOUT_NUL, TIME_PATTERN):
        return WORDS
    longest = schema.get("maxLength", 64)
    return st.from_regex(pattern, fullmatch=True).filter(lambda text: len(text.encode()) <= longest)


def _book(message: Message) -> Message:
    levels = message["levels"]
    bids = sorted({price: [price, size] for price, size in levels["bids"]}.items(), reverse=True)
    asks = sorted({price: [price, size] for price, size in levels["asks"]}.items())
    sides = {"bids": [level for _, level in bids], "asks": [level for _, level in asks]}
    return {**message, "levels": sides, "depth": max(message["depth"], len(bids), len(asks))}


def _with_one_of(name: str, value: float) -> Callable[[Message], Message]:
    return lambda message: {**message, name: value if message.get(name) is None else message[name]}


def _replay(message: Message) -> Message:
    window = {"start": "2025-01-01T00:00:00.000000Z", "end": "2025-01-01T01:00:00.000000Z"}
    rest = {name: value for name, value in message.items() if name not in ("start", "end", "keys")}
    return {**rest, **window}


def _replay_status(message: Message) -> Message:
    left = message.get("left")
    ordered = None if left is None else [[partition, *sorted(offsets)] for partition, *offsets in left]
    return {**message, "left": ordered, "reason": message.get("reason") or "why"}


def _gap(message: Message) -> Message:
    begin, end = sorted((message["begin"], message["end"]), key=parse_timestamp)
    detail = None if message["filled"] else message.get("detail")
    return {**message, "begin": begin, "end": end, "detail": detail}


# Rules about several fields.
KEPT: Mapping[str, Callable[[Message], Message]] = {
    "quotes/v2": _with_one_of("bid", 1.5),
    "gex/levels/v1": _with_one_of("zero_gamma", 6645.0),
    "risk/greeks/v1": _with_one_of("iv", 0.2),
    "orderbook/v1": _book,
    "control/replay_request/v1": _replay,
    "control/replay_status/v1": _replay_status,
    "control/gap/v1": _gap,
}


def as_text(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")


def without_nulls(value: Any) -> Any:
    """What of a message is the same in JSON, however it is written down."""
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return value
