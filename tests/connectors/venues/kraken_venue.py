"""Kraken's websocket v2 and REST API, as far as trades go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.connectors.venues.venue_server import Answer, Dialect, VenueTrade

_PAGE = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PAIR = {
    "altname": "XBTUSD",
    "wsname": "XBT/USD",
    "aclass_base": "currency",
    "base": "XXBT",
    "aclass_quote": "currency",
    "quote": "ZUSD",
    "lot": "unit",
    "cost_decimals": 5,
    "pair_decimals": 1,
    "lot_decimals": 8,
    "lot_multiplier": 1,
    "leverage_buy": [],
    "leverage_sell": [],
    "fees": [[0, 0.26]],
    "fees_maker": [[0, 0.16]],
    "fee_volume_currency": "ZUSD",
    "margin_call": 80,
    "margin_stop": 40,
    "ordermin": "0.0001",
    "costmin": "0.5",
    "tick_size": "0.1",
    "status": "online",
}
_ASSETS = {
    "XXBT": {"aclass": "currency", "altname": "XBT", "decimals": 10, "display_decimals": 5, "status": "enabled"},
    "ZUSD": {"aclass": "currency", "altname": "USD", "decimals": 4, "display_decimals": 2, "status": "enabled"},
}


class Kraken(Dialect):
    name = "kraken"
    symbol = "BTC/USD"
    has_snapshot = True

    def rest(self, host: str, path: str, query: Mapping[str, str], trades: Sequence[VenueTrade]) -> Answer:
        match path.rpartition("/")[2]:
            case "AssetPairs":
                return _result({"XXBTZUSD": _PAIR})
            case "Assets":
                return _result(_ASSETS)
            case "Trades":
                since_ns = int(float(query.get("since", 0)))
                page = [trade for trade in trades if trade.time_us * 1_000 > since_ns][:_PAGE]
                last = page[-1].time_us * 1_000 if page else since_ns
                return _result({"XXBTZUSD": list(map(_row, page)), "last": str(last)})
        return None

    def replies(self, message: Any) -> tuple[list[Answer], bool]:
        match message:
            case {"method": "ping"}:
                return [{"method": "pong", "req_id": message.get("req_id", 0)}], False
            case {"method": "subscribe", "params": {"channel": "trade"}}:
                said = {"channel": "trade", "snapshot": True, "symbol": self.symbol}
                return [{"method": "subscribe", "req_id": message.get("req_id"), "result": said, "success": True}], True
        return [], False

    def live(self, trades: Sequence[VenueTrade]) -> list[Answer]:
        return [{"channel": "trade", "type": "update", "data": list(map(self._trade, trades))}]

    def snapshot(self, trades: Sequence[VenueTrade]) -> list[Answer]:
        last = list(map(self._trade, trades[-3:]))
        return [{"channel": "trade", "type": "snapshot", "data": last}] if last else []

    def error(self) -> Answer:
        return {"method": "subscribe", "success": False, "error": "EService:Unavailable", "symbol": self.symbol}

    def _trade(self, trade: VenueTrade) -> Answer:
        time = _EPOCH + timedelta(microseconds=trade.time_us)
        return {
            "symbol": self.symbol,
            "side": trade.side,
            "price": float(trade.price),
            "qty": float(trade.size),
            "ord_type": "limit",
            "trade_id": trade.number,
            "timestamp": f"{time:%Y-%m-%dT%H:%M:%S.%f}Z",
        }


def _row(trade: VenueTrade) -> list[Any]:
    return [trade.price, trade.size, trade.time_us / 1e6, trade.side[0], "l", "", trade.number]


def _result(content: Any) -> Answer:
    return {"error": [], "result": content}
