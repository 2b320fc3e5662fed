"""OKX's websocket and REST API, as far as trades of the spot market go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.connectors.venues.venue_server import Answer, Dialect, VenueTrade

_INSTRUMENT = {
    "alias": "",
    "baseCcy": "BTC",
    "category": "1",
    "ctMult": "",
    "ctType": "",
    "ctVal": "",
    "ctValCcy": "",
    "expTime": "",
    "instFamily": "",
    "instId": "BTC-USDT",
    "instType": "SPOT",
    "lever": "10",
    "listTime": "1548133413000",
    "lotSz": "0.00000001",
    "maxLmtSz": "9999999999",
    "maxMktSz": "1000000",
    "minSz": "0.00001",
    "optType": "",
    "quoteCcy": "USDT",
    "settleCcy": "",
    "state": "live",
    "stk": "",
    "tickSz": "0.1",
    "uly": "",
}


class Okx(Dialect):
    name = "okx"
    symbol = "BTC/USDT"

    def rest(self, host: str, path: str, query: Mapping[str, str], trades: Sequence[VenueTrade]) -> Answer:
        match path.rpartition("/")[2]:
            case "instruments":
                return _data([_INSTRUMENT] if query.get("instType") == "SPOT" else [])
            case "history-trades":
                return _data(list(map(self._trade, reversed(self._before(query, trades)))))
            case "trades":
                return _data(list(map(self._trade, reversed(trades[-int(query.get("limit", 100)) :]))))
        return None

    def _before(self, query: Mapping[str, str], trades: Sequence[VenueTrade]) -> Sequence[VenueTrade]:
        after, limit = int(query.get("after", 2**62)), int(query.get("limit", 100))
        by_time = query.get("type", "1") == "2"
        return [trade for trade in trades if (trade.time_ms if by_time else trade.number) < after][-limit:]

    def replies(self, message: Any) -> tuple[list[Answer], bool]:
        match message:
            case "ping":
                return ["pong"], False
            case {"op": "subscribe", "args": [{"channel": channel} as said, *_]}:
                return [{"event": "subscribe", "arg": said, "connId": "c"}], str(channel).startswith("trades")
        return [], False

    def live(self, trades: Sequence[VenueTrade]) -> list[Answer]:
        said = {"channel": "trades-all", "instId": "BTC-USDT"}
        return [{"arg": said, "data": [self._trade(trade)]} for trade in trades]

    def error(self) -> Answer:
        return {"event": "error", "code": "60019", "msg": "Invalid op: internal error", "connId": "c"}

    def _trade(self, trade: VenueTrade) -> dict[str, Any]:
        return {
            "instId": "BTC-USDT",
            "tradeId": str(trade.number),
            "px": trade.price,
            "sz": trade.size,
            "side": trade.side,
            "ts": str(trade.time_ms),
        }


def _data(rows: list[Any]) -> Answer:
    return {"code": "0", "msg": "", "data": rows}
