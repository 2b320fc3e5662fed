"""The envelope as the contract of feeds shows it, with placeholders filled in."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.envelope import ENVELOPE_V1, checksum, stored_columns
from contracts.message import MessageType
from contracts.payloads.quotes import QUOTES_V2
from contracts.registry import OWN, open_envelope
from tests.contracts.messages_of_types import as_text, messages

PAYLOAD = {
    "symbol": "NQZ5",
    "group": "FUT_IDX",
    "venue": "CME",
    "bid": 6701.25,
    "ask": 6701.50,
    "bid_size": 8,
    "ask_size": 6,
    "currency": "USD",
}
SHOWN = {
    "envelope_version": "1.0",
    "event_id": "uuid-v7",
    "event_type": "quotes.tick",
    "source_id": "ibkr",
    "realm": "chamber_us",
    "region": "US",
    "schema_ref": "utp://schemas/quotes/v2",
    "sequence": 126733918,
    "event_time": "2025-10-28T07:14:29.312Z",
    "ingest_time": "2025-10-28T07:14:29.987Z",
    "watermark": {"partition": "BTC-USD", "offset": 987654321},
    "checksum": checksum(as_text(PAYLOAD)),
    "payload": PAYLOAD,
    "meta": {"trace_id": "...", "retry": 0},
}
EVENT_TYPES = [
    "quotes.tick",
    "trades.tick",
    "orderbook.snapshot",
    "gex.levels",
    "news.item",
    "calendar.item",
    "risk.greeks",
]
CARRIED = [kind for kind in OWN if kind.event_type is not None]


def changed(**changes: Any) -> bytes:
    return as_text({name: value for name, value in {**SHOWN, **changes}.items() if value is not ...})


def test_the_envelope_that_the_contract_shows_is_read_and_written() -> None:
    envelope, quote = open_envelope(changed())
    assert envelope.watermark is not None
    assert envelope.meta is not None
    assert (envelope.source_id, envelope.watermark.offset, envelope.meta.retry) == ("ibkr", 987654321, 0)
    assert (quote.symbol, quote.bid, quote.ask_size) == ("NQZ5", 6701.25, 6.0)
    assert json.loads(ENVELOPE_V1.encode(envelope)) == SHOWN
    assert json.loads(QUOTES_V2.encode(quote)) == PAYLOAD


def test_every_event_type_of_the_contract_has_its_type() -> None:
    assert {kind.event_type for kind in CARRIED} >= set(EVENT_TYPES)


@pytest.mark.parametrize("kind", CARRIED, ids=lambda kind: kind.id)
@given(st.data())
def test_an_envelope_carries_any_type(kind: MessageType, data: st.DataObject) -> None:
    payload = as_text(data.draw(messages(kind)))
    sent = changed(schema_ref=kind.schema_ref, event_type=kind.event_type, checksum=checksum(payload), payload=0)
    sent = sent.replace(b'"payload": 0', b'"payload": ' + payload)
    envelope, message = open_envelope(sent)
    assert kind.encode(message) == kind.encode(kind.decode(payload))
    assert bytes(envelope.payload) == payload


@pytest.mark.parametrize("name", ["realm", "region", "sequence", "watermark", "checksum", "meta"])
def test_what_not_every_source_has_may_be_absent(name: str) -> None:
    envelope, _ = open_envelope(changed(**{name: ...}))
    assert getattr(envelope, name) is None


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"payload": {**PAYLOAD, "bid": 6701.0}}, "checksum is not that of the payload"),
        ({"payload": ...}, "missing required field `payload`"),
        ({"payload": {"symbol": "A"}, "checksum": ...}, "bid, ask and mid are missing"),
        ({"payload": [1], "checksum": ...}, "payload is not an object"),
        ({"checksum": "sha256:..."}, "matching regex"),
        ({"envelope_version": "2.0"}, "Invalid enum value"),
        ({"event_type": "Quotes"}, "matching regex"),
        ({"event_type": "quotes.tick\n"}, "matching regex"),
        ({"schema_ref": "utp://schemas/rumours/v1"}, "a type that is not known: utp://schemas/rumours/v1"),
        ({"schema_ref": "utp://schemas/../v1"}, "matching regex"),
        ({"schema_ref": "utp://schemas/quotes/v3"}, "a type that is not known"),
        ({"event_time": "2025-10-28T07:14:29.312"}, "event_time is not an ISO 8601 time"),
        ({"ingest_time": "yesterday"}, "ingest_time is not an ISO 8601 time"),
        ({"source_id": ""}, "length >= 1"),
        ({"source_id": "a\0"}, "source_id holds a NUL"),
        ({"sequence": 2**63}, "Expected `int"),
        ({"watermark": {"partition": "p", "offset": -1}}, ">= 0"),
    ],
)
def test_what_is_wrong_is_told(changes: dict[str, Any], error: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=error):
        open_envelope(changed(**changes))


def test_the_table_of_a_type_begins_with_what_the_envelope_says() -> None:
    columns = {column.name: column.type for column in stored_columns(QUOTES_V2)}
    assert list(columns)[:7] == ["event_type", "source_id", "sequence", "ts", "ingest_ts", "checksum", "symbol"]
    assert (columns["ts"], columns["sequence"], columns["bid"]) == ("timestamptz", "bigint", "double precision")
