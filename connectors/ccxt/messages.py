"""Structures of ccxt as raw messages: nothing in them depends on the way they came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from connectors.connector import Raw
from contracts.values import INT64

_encode: Final = msgspec.json.Encoder().encode


class Messages:
    """Makes raw messages of a venue's structures.

    Args:
        venue: its name.
        currencies: by symbol, what prices are in.
    """

    def __init__(self, venue: str, currencies: Mapping[str, str | None]) -> None:
        self._venue: Final = venue.upper()
        self._currencies: Final = currencies

    def trades(self, trades: Iterable[Mapping[str, Any]]) -> list[Raw]:
        """Trades in the order of their times and numbers: venues send some pages with the newest first."""
        rows = [self._trade(trade) for trade in trades]
        rows.sort(key=_order)
        return list(map(_encode, rows))

    def quote(self, ticker: Mapping[str, Any], arrived_ns: int) -> Raw:
        """The best bid and ask."""
        message = {
            **self._common("quotes", ticker, arrived_ns),
            "bid": ticker.get("bid"),
            "ask": ticker.get("ask"),
            "bid_size": ticker.get("bidVolume"),
            "ask_size": ticker.get("askVolume"),
        }
        return _encode(message)

    def book(self, book: Mapping[str, Any], depth: int, arrived_ns: int) -> Raw:
        """The best levels of an order book."""
        levels = {side: [list(level[:2]) for level in book[side][:depth]] for side in ("bids", "asks")}
        sequence = _number(book.get("nonce"))
        return _encode(
            {**self._common("orderbook", book, arrived_ns), "sequence": sequence, "depth": depth, "levels": levels}
        )

    def _trade(self, trade: Mapping[str, Any]) -> dict[str, Any]:
        trade_id = trade.get("id")
        return {
            **self._common("trades", trade, None),
            "sequence": _number(trade_id),
            "price": trade.get("price"),
            "size": trade.get("amount"),
            "side": trade.get("side"),
            "trade_id": trade_id,
        }

    def _common(self, kind: str, structure: Mapping[str, Any], arrived_ns: int | None) -> dict[str, Any]:
        """What all have; where the venue gives no time, it is that of the arrival."""
        symbol, time = structure["symbol"], structure.get("timestamp")
        if time is None and arrived_ns is not None:
            time = arrived_ns // 1_000_000
        currency = self._currencies.get(symbol)
        return {"type": kind, "symbol": symbol, "timestamp": time, "venue": self._venue, "currency": currency}


def _number(text: Any) -> int | None:
    """A venue's id, or its number of a book, if it is a whole number of 64 bits."""
    found = str(text)
    if not (found.isascii() and found.isdecimal()):
        return None
    return int(found) if int(found) <= INT64[1] else None


def _order(row: Mapping[str, Any]) -> tuple[int, int]:
    return row["timestamp"] or 0, row["sequence"] or 0
