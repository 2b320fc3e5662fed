"""What the connector of ccxt says before it connects, and what it makes of ccxt's structures."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("ccxt")

from connectors.ccxt.exchange import exchange, gateways
from connectors.ccxt.messages import Messages
from connectors.ccxt.venues import Venue, venue
from connectors.connector import ConnectorError

TRADE = {
    "id": "883162574",
    "symbol": "BTC/USD",
    "timestamp": 1_761_635_669_312,
    "price": 114250.13,
    "amount": 0.0042,
    "side": "buy",
    "info": {"whatever": 1},
}


def test_gateways_are_what_urls_begin_with() -> None:
    assert gateways(["https://=http://gw:8080/", "wss://a.b=ws://gw"]) == (
        ("https://", "http://gw:8080/"),
        ("wss://a.b", "ws://gw"),
    )
    with pytest.raises(ConnectorError, match="write what URLs begin with"):
        gateways(["https://api.kraken.com"])


def test_a_trade_has_what_the_venue_said_and_nothing_of_how_it_came() -> None:
    messages = Messages("kraken", {"BTC/USD": "USD"})
    (raw,) = messages.trades([TRADE])
    assert json.loads(raw) == {
        "type": "trades",
        "symbol": "BTC/USD",
        "timestamp": 1_761_635_669_312,
        "venue": "KRAKEN",
        "currency": "USD",
        "sequence": 883162574,
        "price": 114250.13,
        "size": 0.0042,
        "side": "buy",
        "trade_id": "883162574",
    }


@pytest.mark.parametrize("trade_id", ["a-1", None, str(2**63), "\N{FULLWIDTH DIGIT ONE}"])
def test_an_id_that_is_no_number_of_64_bits_is_no_sequence(trade_id: str | None) -> None:
    (raw,) = Messages("bybit", {}).trades([{**TRADE, "id": trade_id}])
    assert json.loads(raw)["sequence"] is None


def test_trades_leave_in_the_order_of_time_and_number() -> None:
    trades = [{**TRADE, "id": str(number), "timestamp": time} for number, time in ((9, 5), (10, 5), (8, 5), (1, 7))]
    numbers = [json.loads(raw)["sequence"] for raw in Messages("coinbase", {}).trades(trades)]
    assert numbers == [8, 9, 10, 1]


def test_books_and_quotes_without_a_time_have_that_of_their_arrival() -> None:
    messages = Messages("kraken", {})
    levels = {"bids": [[2.0, 1.0], [1.0, 1.0]], "asks": [[3.0, 1.0]]}
    book = {"symbol": "BTC/USD", "timestamp": None, "nonce": None, **levels}
    found = json.loads(messages.book(book, 1, 5_000_000))
    assert (found["timestamp"], found["levels"]) == (5, {"bids": [[2.0, 1.0]], "asks": [[3.0, 1.0]]})
    quote = {"symbol": "BTC/USD", "timestamp": 7, "bid": 1.0, "ask": 2.0, "bidVolume": 3.0, "askVolume": None}
    assert json.loads(messages.quote(quote, 5_000_000))["timestamp"] == 7


async def _times(texts: list[object]) -> list[int]:
    async with exchange("kraken", Venue(), ()) as kraken:
        return [kraken.safe_timestamp([text], 0) for text in texts]


def test_seconds_become_the_millisecond_that_they_say() -> None:
    """A product of floats is a millisecond early for one in a thousand of them."""
    import asyncio

    ms = range(1_688_669_597_000, 1_688_669_598_000)
    texts: list[object] = [*(one / 1_000 for one in ms), *(f"{one / 1_000:.3f}" for one in ms)]
    assert asyncio.run(_times(texts)) == [*ms, *ms]


def test_every_venue_of_the_file_is_known_to_ccxt_and_has_options_that_fit() -> None:
    import ccxt
    import yaml

    from tests.harness import PROJECT

    listed = yaml.safe_load((PROJECT / "connectors" / "ccxt" / "venues.yaml").read_text(encoding="utf-8"))
    assert set(listed) <= set(ccxt.exchanges)
    assert all(venue(name) != Venue() for name in listed)
