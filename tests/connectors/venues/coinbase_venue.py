"""Coinbase's Advanced Trade websocket and REST API, as far as trades go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.connectors.venues.venue_server import Answer, Dialect, VenueTrade

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PRODUCT = {
    "product_id": "BTC-USD",
    "price": "60000",
    "price_percentage_change_24h": "0",
    "volume_24h": "1",
    "volume_percentage_change_24h": "0",
    "base_increment": "0.00000001",
    "quote_increment": "0.01",
    "quote_min_size": "1",
    "quote_max_size": "150000000",
    "base_min_size": "0.00000001",
    "base_max_size": "3400",
    "base_name": "Bitcoin",
    "quote_name": "US Dollar",
    "watched": False,
    "is_disabled": False,
    "new": False,
    "status": "online",
    "cancel_only": False,
    "limit_only": False,
    "post_only": False,
    "trading_disabled": False,
    "auction_mode": False,
    "product_type": "SPOT",
    "quote_currency_id": "USD",
    "base_currency_id": "BTC",
    "base_display_symbol": "BTC",
    "quote_display_symbol": "USD",
    "view_only": False,
    "price_increment": "0.01",
    "display_name": "BTC-USD",
    "product_venue": "CBE",
}


class Coinbase(Dialect):
    name = "coinbase"
    symbol = "BTC/USD"
    has_snapshot = True

    def rest(self, host: str, path: str, query: Mapping[str, str], trades: Sequence[VenueTrade]) -> Answer:
        if path.endswith("/ticker"):
            begin, end = int(query.get("start", 0)), int(query.get("end", 2**62))
            found = [trade for trade in trades if begin <= trade.time_ms // 1_000 <= end]
            limit = int(query.get("limit", 100))
            page = [self._trade(trade) for trade in reversed(found[-limit:])]
            return {"trades": page, "best_bid": "59999.9", "best_ask": "60000.1"}
        if path.endswith("/products"):
            is_spot = query.get("product_type", "SPOT") == "SPOT"
            return {"products": [_PRODUCT] if is_spot else [], "num_products": int(is_spot)}
        if path.endswith(("currencies", "crypto")):
            return {"data": []}
        if path.endswith("exchange-rates"):
            return {"data": {"currency": "USD", "rates": {}}}
        return None

    def replies(self, message: Any) -> tuple[list[Answer], bool]:
        match message:
            case {"type": "subscribe", "channel": channel}:
                events = [{"subscriptions": {channel: ["BTC-USD"]}}]
                return [{"channel": "subscriptions", "sequence_num": 1, "events": events}], channel == "market_trades"
        return [], False

    def live(self, trades: Sequence[VenueTrade]) -> list[Answer]:
        return [self._message("update", trades)]

    def snapshot(self, trades: Sequence[VenueTrade]) -> list[Answer]:
        return [self._message("snapshot", trades[-3:])] if trades else []

    def error(self) -> Answer:
        return {"type": "error", "message": "internal error"}

    def _message(self, kind: str, trades: Sequence[VenueTrade]) -> Answer:
        """The newest first, as Coinbase has it."""
        event = {"type": kind, "trades": [self._trade(trade) for trade in reversed(trades)]}
        return {"channel": "market_trades", "client_id": "", "sequence_num": 0, "events": [event]}

    def _trade(self, trade: VenueTrade) -> dict[str, Any]:
        time = _EPOCH + timedelta(microseconds=trade.time_us)
        return {
            "trade_id": str(trade.number),
            "product_id": "BTC-USD",
            "price": trade.price,
            "size": trade.size,
            "side": trade.side.upper(),
            "time": f"{time:%Y-%m-%dT%H:%M:%S.%f}Z",
        }
