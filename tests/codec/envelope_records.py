"""Envelopes as a topic holds them, and what the market dataflow makes of them."""

from __future__ import annotations

import json
from typing import Any

from codec.market_envelopes import MarketEnvelopeDecoder
from contracts.batch import MicroBatch
from contracts.envelope import checksum
from contracts.market_prices import MarketPrice
from tests.codec.stored_records import MAX_FUTURE, WINDOW, Stored, fetch

TRADE: dict[str, Any] = {
    "symbol": "SPY",
    "price": 425.15,
    "size": 1200.0,
    "side": "buy",
    "trade_id": "883162574",
    "venue": "XNAS",
    "currency": "USD",
}
QUOTE: dict[str, Any] = {"symbol": "SPY", "bid": 425.1, "ask": 425.3, "bid_size": 8, "ask_size": 6, "venue": "XNAS"}
ENVELOPE: dict[str, Any] = {
    "envelope_version": "1.0",
    "event_id": "e1",
    "event_type": "trades.tick",
    "source_id": "feed",
    "realm": "chamber_us",
    "region": "US",
    "schema_ref": "utp://schemas/trades/v2",
    "sequence": 7,
    "event_time": "2025-10-24T14:02:01Z",
    "ingest_time": "2025-10-24T14:02:01.25Z",
    "watermark": {"partition": "SPY", "offset": 987654321},
    "payload": TRADE,
    "meta": {"trace_id": "4b5b3f2a0f9d4e3db4c8a1f0e3a7c812", "retry": 0},
}
OF_QUOTES: dict[str, Any] = {"event_type": "quotes.tick", "schema_ref": "utp://schemas/quotes/v2", "payload": QUOTE}
HEARTBEAT: dict[str, Any] = {
    "envelope_version": "1.0",
    "event_id": "h1",
    "event_type": "control.heartbeat",
    "source_id": "feed",
    "schema_ref": "utp://schemas/control/heartbeat/v1",
    "event_time": "2025-10-24T14:02:01Z",
    "ingest_time": "2025-10-24T14:02:01Z",
    "payload": {"flow": "mdp-market-2s"},
}


def text(envelope: dict[str, Any], **options: Any) -> bytes:
    return json.dumps(envelope, **options).encode()


def changed(owner: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """With other fields; those that are `...` are left out."""
    return {name: value for name, value in (owner | changes).items() if value is not ...}


def trade(**changes: Any) -> dict[str, Any]:
    """An envelope whose payload has other fields."""
    return ENVELOPE | {"payload": changed(TRADE, **changes)}


def quote(**changes: Any) -> dict[str, Any]:
    return ENVELOPE | OF_QUOTES | {"payload": changed(QUOTE, **changes)}


def with_checksum(envelope: dict[str, Any], stated: str | None = None, **options: Any) -> bytes:
    """The text of an envelope with the checksum of its payload, or another."""
    payload = text(envelope["payload"], **options).decode()
    mark = "the payload"
    whole = text(envelope | {"checksum": stated or checksum(payload.encode()), "payload": mark}, **options).decode()
    return whole.replace(json.dumps(mark), payload).encode()


def decode(*records: Stored | bytes, price: MarketPrice = "trade") -> MicroBatch:
    stored = [record if isinstance(record, Stored) else Stored(record) for record in records]
    for place, record in enumerate(stored):
        record.place = place
    return MarketEnvelopeDecoder(WINDOW, MAX_FUTURE, price).decode(fetch(stored))
