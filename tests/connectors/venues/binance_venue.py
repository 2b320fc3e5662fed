"""Binance's streams and REST API, as far as aggregated trades of the spot market go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.connectors.venues.venue_server import Answer, Dialect, VenueTrade

_SYMBOL = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "baseAsset": "BTC",
    "baseAssetPrecision": 8,
    "quoteAsset": "USDT",
    "quotePrecision": 8,
    "quoteAssetPrecision": 8,
    "orderTypes": ["LIMIT", "MARKET"],
    "icebergAllowed": True,
    "ocoAllowed": True,
    "isSpotTradingAllowed": True,
    "isMarginTradingAllowed": False,
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.00", "stepSize": "0.00001"},
    ],
    "permissions": ["SPOT"],
    "permissionSets": [["SPOT"]],
}


class Binance(Dialect):
    name = "binance"
    symbol = "BTC/USDT"

    def rest(self, host: str, path: str, query: Mapping[str, str], trades: Sequence[VenueTrade]) -> Answer:
        if path.endswith("exchangeInfo"):
            spot = host == "api.binance.com"
            return {"timezone": "UTC", "serverTime": 0, "rateLimits": [], "symbols": [_SYMBOL] if spot else []}
        if path.endswith("aggTrades"):
            begin, end = int(query.get("startTime", 0)), int(query.get("endTime", 2**62))
            found = [trade for trade in trades if begin <= trade.time_ms <= end]
            return [self._trade(trade) for trade in found[: int(query.get("limit", 500))]]
        return None

    def replies(self, message: Any) -> tuple[list[Answer], bool]:
        match message:
            case {"method": "SUBSCRIBE", "params": [stream, *_]}:
                return [{"result": None, "id": message["id"]}], str(stream).endswith("@aggTrade")
        return [], False

    def live(self, trades: Sequence[VenueTrade]) -> list[Answer]:
        return [{"e": "aggTrade", "E": trade.time_ms + 1, "s": "BTCUSDT", **self._trade(trade)} for trade in trades]

    def error(self) -> Answer:
        return {"error": {"code": 1, "msg": "Internal error"}, "id": None}

    def _trade(self, trade: VenueTrade) -> dict[str, Any]:
        return {
            "a": trade.number,
            "p": trade.price,
            "q": trade.size,
            "f": 10 * trade.number,
            "l": 10 * trade.number + 3,
            "T": trade.time_ms,
            "m": trade.side == "sell",
            "M": True,
        }
