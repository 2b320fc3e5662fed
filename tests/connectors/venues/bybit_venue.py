"""Bybit's public websocket and REST API of the spot market, as far as trades go."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from tests.connectors.venues.venue_server import Answer, Dialect, VenueTrade

_INSTRUMENT = {
    "symbol": "BTCUSDT",
    "baseCoin": "BTC",
    "quoteCoin": "USDT",
    "innovation": "0",
    "status": "Trading",
    "marginTrading": "none",
    "lotSizeFilter": {
        "basePrecision": "0.000001",
        "quotePrecision": "0.00000001",
        "minOrderQty": "0.000048",
        "maxOrderQty": "71.73956243",
        "minOrderAmt": "1",
        "maxOrderAmt": "2000000",
    },
    "priceFilter": {"tickSize": "0.01"},
}


class Bybit(Dialect):
    name = "bybit"
    symbol = "BTC/USDT"
    number_in_ids = False
    most_again = 60  # no more of the spot market

    def rest(self, host: str, path: str, query: Mapping[str, str], trades: Sequence[VenueTrade]) -> Answer:
        spot = query.get("category") == "spot"
        match path.rpartition("/")[2]:
            case "instruments-info":
                return _result(query, [_INSTRUMENT] if spot else [])
            case "recent-trade":
                limit = int(query.get("limit", 60))
                return _result(query, [self._row(trade) for trade in reversed(trades[-limit:])])
        return None

    def replies(self, message: Any) -> tuple[list[Answer], bool]:
        match message:
            case {"op": "ping"}:
                return [{"success": True, "ret_msg": "pong", "conn_id": "c", "op": "ping"}], False
            case {"op": "subscribe", "args": [topic, *_]}:
                said = {"success": True, "ret_msg": "subscribe", "conn_id": "c", "op": "subscribe"}
                return [{**said, "req_id": message.get("req_id", "")}], str(topic).startswith("publicTrade.")
        return [], False

    def live(self, trades: Sequence[VenueTrade]) -> list[Answer]:
        data = [
            {
                "T": trade.time_ms,
                "s": "BTCUSDT",
                "S": trade.side.capitalize(),
                "v": trade.size,
                "p": trade.price,
                "i": self.trade_id(trade),
                "BT": False,
            }
            for trade in trades
        ]
        return [{"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": trades[-1].time_ms + 1, "data": data}]

    def error(self) -> Answer:
        return {"success": False, "ret_msg": "Internal server error", "conn_id": "c", "req_id": "", "op": "subscribe"}

    def trade_id(self, trade: VenueTrade) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, str(trade.number)))

    def _row(self, trade: VenueTrade) -> dict[str, Any]:
        return {
            "execId": self.trade_id(trade),
            "symbol": "BTCUSDT",
            "price": trade.price,
            "size": trade.size,
            "side": trade.side.capitalize(),
            "time": str(trade.time_ms),
            "isBlockTrade": False,
        }


def _result(query: Mapping[str, str], rows: list[Any]) -> Answer:
    content = {"category": query.get("category", ""), "list": rows, "nextPageCursor": ""}
    return {"retCode": 0, "retMsg": "OK", "result": content, "retExtInfo": {}, "time": 0}
