"""The scan takes in plain envelopes of trades and quotes, and finds in them what the general decoder finds."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codec.envelope_ticks import envelope_ticks
from codec.ticks import TickReader
from contracts.market_prices import MarketPrice
from contracts.record import Records
from tests.codec.envelope_mutations import as_envelope
from tests.codec.envelope_records import ENVELOPE, OF_QUOTES, TRADE, decode, quote, text, trade, with_checksum
from tests.codec.mutations import damaged
from tests.codec.stored_records import Stored

TEXT = json.dumps(ENVELOPE)
LONG = "9" * 25
ODD_BYTE = "\x7f\u0080"


def taken(*payloads: str | bytes, price: MarketPrice = "trade") -> list[bool]:
    """Whether each is read by the scan, and not left to the general decoder."""
    data = [payload.encode() if isinstance(payload, str) else payload for payload in payloads]
    records = Records.of([Stored(value, milliseconds=-1) for value in data])
    left = TickReader(envelope_ticks(price), 0).read(records, 0)
    return [place not in left for place in range(len(data))]


def envelope(**changes: Any) -> str:
    return json.dumps(ENVELOPE | changes)


def raw(**changes: str) -> str:
    """An envelope whose payload has fields that are given as they stand in the text."""
    fields = {name: json.dumps(value) for name, value in TRADE.items()} | changes
    payload = "{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}"
    return envelope(payload="?").replace('"?"', payload)


@pytest.mark.parametrize(
    "payload",
    [
        TEXT,
        json.dumps(ENVELOPE, separators=(",", ":")),
        json.dumps(ENVELOPE, indent=4) + "\n",
        json.dumps(dict(reversed(ENVELOPE.items()))),
        json.dumps({name: ENVELOPE[name] for name in ENVELOPE if name not in ("realm", "region", "watermark", "meta")}),
        envelope(sequence=None, realm=None, region=None, watermark=None, meta=None, checksum=None),
        envelope(meta={}, event_id="x" * 256, another="text", a_name_of_more_than_sixteen_bytes=1.5, x=None, y=True),
        envelope(meta={"retry": 2**31 - 1, "more": "text"}, watermark={"offset": 0, "partition": "P"}),
        json.dumps(trade(side=None, trade_id=None, venue=...)),
        json.dumps(trade(side="sell", group="FUT_IDX", more=False)),
        *(raw(price=number) for number in ("0", "-0.0", "1e15", "-1e15", "0.1234567890123456789", "1E+3")),
        *(raw(size=number) for number in ("0", "1e-300", "1e18", "999999999999.99999999999")),
        with_checksum(ENVELOPE),
        with_checksum(ENVELOPE, indent=2),
        with_checksum(ENVELOPE, separators=(",", ":")),
    ],
)
def test_a_plain_trade_is_taken_in(payload: str | bytes) -> None:
    assert taken(payload) == [True]


@pytest.mark.parametrize(
    "payload",
    [
        "{}",
        TEXT[:-1],
        TEXT + "}",
        TEXT[:-1] + ",}",
        TEXT[:-1] + ', "event_id": "e2"}',
        envelope(envelope_version="1.1"),
        envelope(event_type="Trades"),
        envelope(event_type="trades.block"),
        envelope(schema_ref="utp://schemas/trades/v3"),
        json.dumps(ENVELOPE | OF_QUOTES),
        envelope(event_id=""),
        envelope(event_id="x" * 257),
        envelope(event_id=None),
        envelope(source_id="é"),
        envelope(realm=""),
        envelope(sequence=1.5),
        envelope(sequence=2**63),
        envelope(event_time="2025-10-24 14:02:01Z"),
        envelope(event_time="2262-01-01T00:00:00Z"),
        envelope(ingest_time="soon"),
        envelope(ingest_time=None),
        envelope(watermark={"partition": "P"}),
        envelope(watermark={"partition": "P", "offset": -1}),
        envelope(watermark={"partition": "P", "offset": 1, "x": {}}),
        envelope(meta={"retry": 2**31}),
        envelope(meta=[]),
        envelope(book={"bid": 1}),
        envelope(payload=None),
        envelope(payload=[TRADE]),
        envelope(payload="{}"),
        envelope(payload={}),
        envelope(payload={"": 1}),
        envelope(checksum=""),
        envelope(checksum="sha256:" + "0" * 64),
        with_checksum(ENVELOPE).replace(b"sha256", b"sha512"),
        with_checksum(ENVELOPE).replace(b"425.15", b"425.16"),
        with_checksum(ENVELOPE).replace(b"425.15", b"425.15 "),
        *(json.dumps(trade(**{name: ...})) for name in ("symbol", "price", "size")),
        json.dumps(trade(side="Buy")),
        json.dumps(trade(side="")),
        json.dumps(trade(side="buysell")),
        json.dumps(trade(venue="x" * 257)),
        json.dumps(trade(book={})),
        json.dumps(trade(symbol="S\\u0041")),
        raw(symbol='"\t"'),
        raw(symbol=f'"{ODD_BYTE}"'),
        *(raw(price=number) for number in ("1.0000001e15", "-1e300", "NaN", "01", ".5", LONG, '"1"', "null")),
        *(raw(size=number) for number in ("-1", "-1e-300", "1.0000001e18", "2e18", "", "null")),
        raw(price='1.5,"price":1.5'),
        TEXT.replace('"payload": {', '"payload": {,'),
        TEXT.replace('}, "meta"', ',}, "meta"'),
        TEXT.replace('}, "meta"', '}} , "meta"'),
        TEXT.replace('}, "meta"', ', "meta"'),
    ],
)
def test_what_is_not_plainly_a_trade_is_left_to_others(payload: str | bytes) -> None:
    assert taken(payload, TEXT) == [False, True]


@pytest.mark.parametrize(
    ("price", "payload", "is_taken"),
    [
        ("bid", quote(), True),
        ("ask", quote(bid=...), True),
        ("mid", quote(), True),
        ("mid", quote(bid=..., ask=..., mid=425.2), True),
        ("mid", quote(bid=None, ask=None, mid=425.2, tick_type="BidAsk"), True),
        ("bid", quote(bid=...), False),
        ("bid", quote(bid=None), False),
        ("mid", quote(bid=...), False),
        ("mid", quote(bid=..., ask=...), False),
        ("mid", quote(mid=1e16), False),
        ("bid", quote(bid_size=-1), False),
        ("bid", ENVELOPE, False),
    ],
)
def test_a_quote_is_taken_in_if_it_has_the_price(price: MarketPrice, payload: dict[str, Any], is_taken: bool) -> None:
    assert taken(text(payload), price=price) == [is_taken]


def both_ways(payload: bytes, price: MarketPrice = "trade") -> list[list[tuple[Any, ...]]]:
    """The event as it is decoded, and as it is when it cannot be taken for plain, which a space before it sees to."""
    return [decode(value, price=price).events.drop("record").rows() for value in (payload, b" " + payload)]


def same(one: object, other: object) -> bool:
    """Equal to the last bit: -0.0 is not 0.0."""
    return repr(one) == repr(other)


@given(st.randoms(use_true_random=False), st.sampled_from(["trade", "mid", "bid", "ask"]))
def test_whatever_is_taken_in_is_what_the_general_decoder_finds(chance: random.Random, price: MarketPrice) -> None:
    payload = as_envelope(chance)
    if chance.random() < 0.5:
        payload = damaged(chance, payload)
    plain, general = both_ways(payload, price)
    assert same(plain, general)


JSON_NUMBER = r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?"
NUMBERS: st.SearchStrategy[str] = st.floats(-1e15, 1e15).map(repr) | st.from_regex(JSON_NUMBER, fullmatch=True)


@given(NUMBERS, NUMBERS)
@example("9007199254740993", "1")
@example("123456789012.34567890123", "1e-23")
@example("-0", "-0.0")
@settings(max_examples=300)
def test_numbers_are_read_to_the_last_bit(price: str, size: str) -> None:
    plain, general = both_ways(raw(price=price, size=size).encode())
    assert same(plain, general)


@given(NUMBERS, NUMBERS)
@settings(max_examples=300)
def test_the_mid_is_the_same_either_way(bid: str, ask: str) -> None:
    payload = text(quote(bid="?bid", ask="?ask")).decode().replace('"?bid"', bid).replace('"?ask"', ask)
    plain, general = both_ways(payload.encode(), "mid")
    assert same(plain, general)


@pytest.mark.parametrize("name", ["event_idx", "event_i", "sequences", "envelope_version_", "event_tim", "watermarks"])
def test_a_field_that_begins_like_another_is_not_the_other(name: str) -> None:
    payload = envelope(**{name: "abc"})
    assert taken(payload) == [True]
    plain, general = both_ways(payload.encode())
    assert same(plain, general)


@pytest.mark.parametrize("name", ["source_id", "event_time", "payload"])
def test_a_field_of_the_envelope_is_none_of_the_payload(name: str) -> None:
    inner = json.dumps(trade(**{name: "not a time"}))
    assert taken(inner) == [True]
    lacking = {key: value for key, value in ENVELOPE.items() if key != name}
    assert taken(json.dumps(lacking | {"meta": {name: "x"}})) == [False]
