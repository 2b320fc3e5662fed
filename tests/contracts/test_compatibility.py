"""What a later schema of a major version may change, and what it must not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.compatibility import breaks
from contracts.event import EVENT_V1
from contracts.json_schema import json_schema
from contracts.message import MessageType
from contracts.payloads.orderbook import ORDERBOOK_V1
from contracts.payloads.trades import TRADES_V2
from contracts.registry import OWN
from contracts.schema_files import RELEASED, broken, read_released

Schema = dict[str, Any]
Change = Callable[[Schema], object]


def later(kind: MessageType, change: Change, version: str | None = "2.1.0") -> Schema:
    schema = copy.deepcopy(json_schema(kind))
    change(schema)
    return schema | ({"x-version": version} if version else {})


def field(name: str, **changes: Any) -> Change:
    """Keywords of a field; those that are None go."""

    def change(schema: Schema) -> None:
        properties = schema["properties"]
        changed = {**properties.get(name, {}), **changes}
        properties[name] = {keyword: value for keyword, value in changed.items() if value is not None}

    return change


def renamed(schema: Schema) -> None:
    schema["properties"]["price_usd"] = schema["properties"].pop("price")
    schema["required"] = ["symbol", "price_usd", "size"]


def test_what_is_unchanged_is_compatible() -> None:
    assert breaks(json_schema(TRADES_V2), json_schema(TRADES_V2)) == []


@pytest.mark.parametrize(
    "change",
    [
        field("note", type=["string", "null"], maxLength=256),
        field("price", minimum=-1e16, maximum=1e16),
        field("symbol", maxLength=512),
        field("side", enum=["buy", "sell", "cross", None]),
    ],
)
def test_what_is_added_or_widened_is_compatible_in_a_new_minor_version(change: Change) -> None:
    assert breaks(json_schema(TRADES_V2), later(TRADES_V2, change)) == []
    unversioned = breaks(json_schema(TRADES_V2), later(TRADES_V2, change, None))
    assert unversioned == ["it has changed since 2.0.0: raise its version to 2.1.0"]
    patched = breaks(json_schema(TRADES_V2), later(TRADES_V2, change, "2.0.1"))
    assert patched == ["it has changed since 2.0.0: raise its version to 2.1.0"]


@pytest.mark.parametrize(
    "change",
    [
        field("price", description="In other words."),
        lambda schema: schema.update(description="In other words.", examples=[]),
    ],
)
def test_other_words_need_no_version(change: Change) -> None:
    assert breaks(json_schema(TRADES_V2), later(TRADES_V2, change, None)) == []


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (lambda schema: schema["properties"].pop("venue"), ["venue is gone: it was removed or renamed"]),
        (renamed, ["price is gone: it was removed or renamed", "price_usd is newly required"]),
        (field("price", type="string", minimum=None, maximum=None), ["price was number, and is string"]),
        (field("size", type="integer"), ["size was number, and is integer"]),
        (field("size", type=["number", "null"]), ["size was number, and is null or number"]),
        (field("price", **{"x-unit": "cents"}), ["price has another unit: cents, and had currency per unit"]),
        (field("symbol", pattern="^[A-Z]+$"), [r"symbol has another pattern: ^[A-Z]+$, and had ^[^\x00]*$"]),
        (field("symbol", maxLength=8), ["symbol is bound more narrowly: maxLength 8, and had 256"]),
        (field("price", minimum=0), ["price is bound more narrowly: minimum 0, and had -1000000000000000.0"]),
        (field("side", enum=["buy", None]), ["side cannot be sell any more"]),
        (field("venue", enum=["CME", None]), ["venue cannot have all values any more"]),
        (lambda schema: schema["required"].append("venue"), ["venue is newly required"]),
        (
            lambda schema: schema["required"].remove("size"),
            ["size is not required any more, and consumers count on it"],
        ),
        (lambda schema: schema.update(additionalProperties=False), ["the message takes no other fields any more"]),
        (lambda schema: schema.update(type="array"), ["the message was object, and is array"]),
        (lambda schema: schema.update(allOf=[{"required": ["venue"]}]), ["the message has other rules (allOf)"]),
    ],
)
def test_what_breaks_those_who_send_or_read_is_told(change: Change, lines: list[str]) -> None:
    assert breaks(json_schema(TRADES_V2), later(TRADES_V2, change)) == lines


def test_fields_inside_of_others_count_too() -> None:
    def change(schema: Schema) -> None:
        levels = schema["properties"]["levels"]["properties"]
        del levels["asks"]
        levels["bids"]["maxItems"] = 10
        levels["bids"]["items"]["prefixItems"][1]["type"] = "integer"

    assert breaks(json_schema(ORDERBOOK_V1), later(ORDERBOOK_V1, change, "1.1.0")) == [
        "levels.bids is bound more narrowly: maxItems 10, and had 1000",
        "levels.bids[][1] was number, and is integer",
        "levels.asks is gone: it was removed or renamed",
    ]


def test_what_only_bars_have_counts_too() -> None:
    def change(schema: Schema) -> None:
        schema["allOf"][2]["then"]["properties"].pop("o")
        schema["allOf"][1]["else"]["required"].append("seq")

    found = breaks(json_schema(EVENT_V1), later(EVENT_V1, change, "1.1.0"))
    assert found == ["seq is newly required", "o is gone: it was removed or renamed"]


@given(st.sampled_from(OWN), st.data())
def test_no_field_of_any_type_can_go_unnoticed(kind: MessageType, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(json_schema(kind)["properties"])))
    found = breaks(json_schema(kind), later(kind, lambda schema: schema["properties"].pop(name), "9.9.0"))
    assert found == [f"{name} is gone: it was removed or renamed"]


def test_the_types_of_today_break_nothing_that_was_released() -> None:
    assert list(broken(read_released(RELEASED), OWN)) == []


def test_a_type_that_was_released_stays() -> None:
    released = {TRADES_V2.id: json_schema(TRADES_V2)}
    assert list(broken(released, [ORDERBOOK_V1])) == [
        "trades/v2 was released, and is gone: keep it for those who send it"
    ]
