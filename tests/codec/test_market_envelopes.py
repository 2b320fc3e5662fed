"""Envelopes become events of the market dataflow, or rejects that say why."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from codec.heartbeats import envelope_heartbeats
from contracts.budgets import BLOB_ABOVE_BYTES
from contracts.frames import BUY
from contracts.market_prices import MarketPrice
from contracts.registry import open_envelope
from tests.codec.envelope_records import ENVELOPE, HEARTBEAT, decode, quote, text, trade, with_checksum
from tests.codec.stored_records import NOW_MS, SECOND, Stored

NOW = NOW_MS * 1_000_000
NEWS: dict[str, Any] = ENVELOPE | {
    "event_type": "news.item",
    "schema_ref": "utp://schemas/news/v1",
    "payload": {"headline": "Chip maker raises its outlook", "source": "wire", "tickers": ["NVDA"]},
}


def slowly(payload: bytes) -> bytes:
    """The same as the general decoder has to read it."""
    return b" " + payload


@pytest.mark.parametrize("payload", [text(ENVELOPE), slowly(text(ENVELOPE)), gzip.compress(text(ENVELOPE))])
def test_a_trade_is_a_tick(payload: bytes) -> None:
    (event,) = decode(payload).events.drop("record", "offset", "row").to_dicts()
    assert event == {
        "provider": "feed",
        "symbol": "SPY",
        "kind": "tick",
        "src_ts": NOW,
        **dict.fromkeys("ohl"),
        "c": 425.15,
        "v": 1200.0,
        "seq": 7,
        "event_id": "e1",
        "side": BUY,
    }


@pytest.mark.parametrize(
    ("price", "payload", "expected"),
    [
        ("bid", quote(), 425.1),
        ("ask", quote(), 425.3),
        ("mid", quote(), (425.1 + 425.3) / 2),
        ("mid", quote(mid=425.0), 425.0),
        ("mid", quote(mid=None), (425.1 + 425.3) / 2),
        ("mid", quote(bid=..., ask=..., mid=-1.5), -1.5),
    ],
)
def test_a_quote_is_a_tick_without_volume(price: MarketPrice, payload: dict[str, Any], expected: float) -> None:
    made = decode(text(payload), slowly(text(payload)), price=price)
    assert made.events.select("c", "v").rows() == [(expected, 0.0)] * 2


@pytest.mark.parametrize(
    ("price", "payload", "error"),
    [
        ("trade", quote(), "utp://schemas/quotes/v2 makes no bars here: market.price trade is of trades/v2"),
        ("bid", trade(), "utp://schemas/trades/v2 makes no bars here: market.price bid is of quotes/v2"),
        ("trade", NEWS, "utp://schemas/news/v1 makes no bars here: market.price trade is of trades/v2"),
        ("bid", quote(bid=...), "the quote has no bid"),
        ("ask", quote(ask=None), "the quote has no ask"),
        ("mid", quote(bid=...), "the quote has no mid"),
    ],
)
def test_what_has_no_price_for_bars_is_unsupported(price: MarketPrice, payload: dict[str, Any], error: str) -> None:
    made = decode(text(payload), price=price)
    assert made.rejects.select("reason", "error", "value").rows() == [("unsupported", error, text(payload))]
    assert made.outcomes.rejected == 1


@pytest.mark.parametrize(
    ("record", "reason", "error"),
    [
        (text(ENVELOPE | {"source_id": ""}), "contract", "source_id"),
        (text(ENVELOPE | {"schema_ref": "utp://schemas/none/v9"}), "contract", "schema_ref names a type"),
        (text(trade(size=-1)), "contract", "size"),
        (text(trade(symbol="é" * 129)), "contract", "symbol is longer than 256 bytes"),
        (with_checksum(ENVELOPE, f"sha256:{'0' * 64}"), "contract", "checksum is not that of the payload"),
        (text(ENVELOPE | {"event_time": "2262-01-01T00:00:00Z"}), "contract", "event_time lies within a year"),
        (text(ENVELOPE | {"event_time": "2025-10-24T14:02:06.000000001Z"}), "future", "event_time is too far ahead"),
        (text(HEARTBEAT | {"event_time": "2025-10-24T14:03:00Z"}), "future", "event_time is too far ahead"),
        (text(ENVELOPE)[:-1], "undecodable", "truncated"),
        (text(ENVELOPE).replace(b"feed", b"fe\xffd"), "undecodable", ""),
        (b'{"a":' * 100_000, "undecodable", "nested too deeply"),
        (b"", "undecodable", "the record is empty"),
        (None, "undecodable", "tombstone"),
        (gzip.compress(text(ENVELOPE))[:-9], "undecodable", "cut off"),
        (gzip.compress(bytes(BLOB_ABOVE_BYTES + 1)), "undecodable", "unpacks to more than the 1,048,576 bytes"),
        (b"\x1f\x8b", "undecodable", "gzip"),
    ],
)
def test_what_is_no_envelope_is_rejected_with_its_bytes_beside_its_neighbours(
    record: bytes | None, reason: str, error: str
) -> None:
    made = decode(text(ENVELOPE), Stored(record), text(ENVELOPE))
    assert made.events["offset"].to_list() == [0, 2]
    ((offset, why, told, value),) = made.rejects.select("offset", "reason", "error", "value").rows()
    assert (offset, why, value) == (1, reason, record)
    assert error in told


def test_the_checksum_is_that_of_the_bytes_as_they_stand() -> None:
    payloads = [with_checksum(ENVELOPE, **options) for options in ({}, {"indent": 1}, {"separators": (",", ":")})]
    mixed = [text(ENVELOPE), *payloads, text(ENVELOPE), with_checksum(trade(symbol="株"), ensure_ascii=False)]
    made = decode(*mixed, *map(slowly, payloads))
    assert made.events.height == len(mixed) + 3
    assert made.rejects.is_empty()


def test_an_event_as_far_ahead_as_it_may_be_is_accepted() -> None:
    made = decode(text(ENVELOPE | {"event_time": "2025-10-24T14:02:06Z"}))
    assert made.events["src_ts"].to_list() == [NOW + 5 * SECOND]


def test_a_heartbeat_moves_the_time_of_its_source() -> None:
    written = envelope_heartbeats("mdp-market-2s")("feed|1", NOW)
    envelope, _ = open_envelope(written)
    assert (envelope.event_type, envelope.source_id) == ("control.heartbeat", "feed|1")
    made = decode(written, text(HEARTBEAT))
    assert made.events.select("kind", "provider", "src_ts", "symbol").rows() == [
        ("heartbeat", "feed|1", NOW, None),
        ("heartbeat", "feed", NOW, None),
    ]


def test_a_heartbeat_that_is_written_again_is_the_same_message() -> None:
    encode = envelope_heartbeats("mdp-market-2s")
    assert encode("feed", NOW) == encode("feed", NOW)
    assert encode("feed", NOW) != encode("other", NOW)
