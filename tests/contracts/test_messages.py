import json
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.json_schema import json_schema, text_of
from contracts.message import MessageType
from contracts.payloads.trades import TRADES_V2
from contracts.registry import OWN
from contracts.schema_files import FOLDER, RELEASED, texts
from contracts.signal import SIGNAL_V1
from tests.contracts.messages_of_types import as_text, messages, without_nulls

EACH = pytest.mark.parametrize("kind", OWN, ids=lambda kind: kind.id)
VALIDATORS = {kind.id: jsonschema.Draft202012Validator(json_schema(kind)) for kind in OWN}
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
) | st.sampled_from(["2025-10-24T14:02:01Z", "buy", "https://a.example/\n", "utp://schemas/trades/v2"])


def test_the_files_are_what_the_declarations_say() -> None:
    assert {file.name: file.read_text(encoding="utf-8") for file in FOLDER.iterdir()} == texts()
    assert {file.name for file in RELEASED.iterdir()} <= texts().keys()


@EACH
def test_each_schema_is_one_and_its_examples_keep_it(kind: MessageType) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema(kind))
    for example in kind.examples:
        VALIDATORS[kind.id].validate(dict(example))
        message = kind.decode(as_text(example))
        assert without_nulls(json.loads(kind.encode(message))) == dict(example)


@EACH
@given(st.data())
def test_a_message_is_the_same_after_json(kind: MessageType, data: st.DataObject) -> None:
    written = data.draw(messages(kind))
    message = kind.decode(as_text(written))
    assert kind.flaw(message) is None
    again = kind.decode(kind.encode(message))
    assert kind.encode(again) == kind.encode(message)
    assert without_nulls(json.loads(kind.encode(message))) == {**_defaults(kind), **without_nulls(written)}


def _defaults(kind: MessageType) -> dict[str, Any]:
    return {"ver": 1} if any(field.name == "ver" for field in kind.fields) else {}


@EACH
@given(st.data())
def test_whatever_is_accepted_is_valid_under_the_schema(kind: MessageType, data: st.DataObject) -> None:
    names = st.sampled_from([field.name for field in kind.fields])
    changed = {**data.draw(st.sampled_from(kind.examples)), **data.draw(st.dictionaries(names, JUNK, min_size=1))}
    try:
        kind.decode(as_text(changed))
    except ValueError:
        return
    if kind.id != "events/v1":  # whose bounds are judged in columns: tests/contracts/test_json_schema.py
        VALIDATORS[kind.id].validate(changed)


TRADE = {"symbol": "BTC-USD", "price": 1.5, "size": 2.0}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"symbol": "é" * 129}, "symbol is longer than 256 bytes"),
        ({"symbol": "A\0B"}, "symbol holds a NUL"),
        ({"symbol": ""}, "length >= 1"),
        ({"price": 1.1e15}, "<= 1000000000000000"),
        ({"price": True}, "got `bool`"),
        ({"size": -1}, ">= 0"),
        ({"side": "hold"}, "Invalid enum value 'hold'"),
        ({"trade_id": 7}, "got `int`"),
    ],
)
def test_what_breaks_a_bound_is_told_in_one_line(changes: dict[str, Any], error: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=error):
        TRADES_V2.decode(as_text({**TRADE, **changes}))


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"symbol":"A","price":1e400,"size":1}', b"\xff", b'{"symbol":"\xff"}']
)
def test_what_is_no_message_raises_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        TRADES_V2.decode(text)


@pytest.mark.parametrize("depth", [5_000, 200_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_what_is_nested_deeply_is_no_message(depth: int, opening: bytes, closing: bytes) -> None:
    nested = opening * depth + b"1" + closing * depth
    signal = SIGNAL_V1.encode(SIGNAL_V1.decode(as_text({**SIGNAL_V1.examples[0], "meta": None})))
    for kind, text in (
        (SIGNAL_V1, signal.replace(b'"meta":null', b'"meta":{"x":' + nested + b"}")),
        (TRADES_V2, b'{"symbol":"A","price":1,"size":1,"anything":' + nested + b"}"),
    ):
        with pytest.raises(msgspec.DecodeError, match="nested too deeply"):
            kind.decode(text)


def test_fields_that_are_not_known_are_left_alone_as_later_versions_add_some() -> None:
    assert TRADES_V2.decode(as_text({**TRADE, "condition": ["odd lot"]})).size == 2.0


def test_a_type_says_its_names_and_its_topic() -> None:
    assert (TRADES_V2.id, TRADES_V2.schema_ref) == ("trades/v2", "utp://schemas/trades/v2")
    assert TRADES_V2.file_name == "trades-v2.json"
    assert TRADES_V2.topic("prod", "chamber_us") == "utp.prod.chamber_us.trades.tick"


def test_units_stand_in_the_schema() -> None:
    properties = json_schema(TRADES_V2)["properties"]
    assert properties["price"]["x-unit"] == "currency per unit"
    assert json.loads(text_of(json_schema(TRADES_V2)))["x-version"] == "2.0.0"
