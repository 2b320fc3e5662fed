"""The examples of the data contract, as it gives them: each is decoded, validated, and written as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.envelope import ENVELOPE_V1, checksum
from contracts.registry import message_types, open_envelope

QUOTE = """{
 "symbol": "NQZ5", "group": "FUT_IDX", "venue": "CME",
 "bid": 6701.25, "ask": 6701.50,
 "bid_size": 8, "ask_size": 6,
 "currency": "USD"
}"""
ENVELOPE: dict[str, Any] = {
    "envelope_version": "1.0",
    "event_id": "019a29c1-8f00-7abc-8def-0123456789ab",
    "event_type": "quotes.tick",
    "source_id": "ibkr",
    "realm": "chamber_us",
    "region": "US",
    "schema_ref": "utp://schemas/quotes/v2",
    "sequence": 126733918,
    "event_time": "2025-10-28T07:14:29.312Z",
    "ingest_time": "2025-10-28T07:14:29.987Z",
    "watermark": {"partition": "BTC-USD", "offset": 987654321},
    "checksum": checksum(QUOTE.encode()),
    "meta": {"trace_id": "4b5b3f2a0f9d4e3db4c8a1f0e3a7c812", "retry": 0},
}
TYPES = {
    "quotes.tick": "quotes/v2",
    "trades.tick": "trades/v2",
    "orderbook.snapshot": "orderbook/v1",
    "gex.levels": "gex/levels/v1",
    "news.item": "news/v1",
    "calendar.item": "calendar/v1",
    "risk.greeks": "risk/greeks/v1",
}
SOURCES = ("ibkr", "tasty", "barchart", "oanda", "kraken", "coinbase", "forexfactory", "custom")
REALMS = ("chamber_us", "chamber_eu", "chamber_tokyo", "brain-001")


def text(payload: str, **changes: Any) -> bytes:
    fields = {**ENVELOPE, "checksum": checksum(payload.encode()), **changes}
    return json.dumps(fields).encode()[:-1] + b', "payload": ' + payload.encode() + b"}"


def test_the_envelope_with_the_quote_goes_there_and_back() -> None:
    envelope, quote = open_envelope(text(QUOTE))
    assert (quote.symbol, quote.bid, quote.ask, quote.bid_size) == ("NQZ5", 6701.25, 6701.5, 8)
    assert json.loads(ENVELOPE_V1.encode(envelope)) == {**ENVELOPE, "payload": json.loads(QUOTE)}
    assert open_envelope(ENVELOPE_V1.encode(envelope)) == (envelope, quote)


@pytest.mark.parametrize(("event_type", "kind"), TYPES.items(), ids=TYPES)
def test_each_stream_has_a_type_whose_messages_go_there_and_back(event_type: str, kind: str) -> None:
    declared = message_types()[kind]
    assert declared.event_type == event_type
    for example in declared.examples:
        changes = {"event_type": event_type, "schema_ref": declared.schema_ref}
        envelope, message = open_envelope(text(json.dumps(example), **changes))
        assert json.loads(declared.encode(message)) == example
        assert open_envelope(ENVELOPE_V1.encode(envelope)) == (envelope, message)


@pytest.mark.parametrize("changes", [{"source_id": one} for one in SOURCES] + [{"realm": one} for one in REALMS])
def test_each_source_and_realm_is_one(changes: dict[str, str]) -> None:
    envelope, _ = open_envelope(text(QUOTE, **changes))
    assert {name: getattr(envelope, name) for name in changes} == changes
