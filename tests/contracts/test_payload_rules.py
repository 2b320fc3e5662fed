"""Rules about several fields of a message, and bounds that matter to those who read it."""

from typing import Any

import msgspec
import pytest

from contracts.message import MessageType
from contracts.payloads.calendar import CALENDAR_V1
from contracts.payloads.gap import GAP_V1
from contracts.payloads.gex_levels import GEX_LEVELS_V1
from contracts.payloads.news import NEWS_V1
from contracts.payloads.orderbook import ORDERBOOK_V1
from contracts.payloads.quotes import QUOTES_V2
from contracts.payloads.replay_request import REPLAY_REQUEST_V1
from contracts.payloads.replay_status import REPLAY_STATUS_V1
from contracts.payloads.risk_greeks import RISK_GREEKS_V1
from tests.contracts.messages_of_types import as_text

START, END = "2025-01-01T00:00:00Z", "2025-01-01T01:00:00Z"


def changed(kind: MessageType, **changes: Any) -> bytes:
    message = {name: value for name, value in {**kind.examples[0], **changes}.items() if value is not ...}
    return as_text(message)


@pytest.mark.parametrize(
    ("kind", "changes", "error"),
    [
        (QUOTES_V2, {"bid": None, "ask": None}, "bid, ask and mid are missing"),
        (
            GEX_LEVELS_V1,
            dict.fromkeys(("zero_gamma", "zero_delta", "call_wall", "put_wall"), ...),
            "one of them at least",
        ),
        (GEX_LEVELS_V1, {"asof": "2025-02-30T00:00:00Z"}, "asof is not an ISO 8601 time"),
        (GEX_LEVELS_V1, {"asof": "2025-02-28T00:00:00"}, "asof is not an ISO 8601 time"),
        (RISK_GREEKS_V1, dict.fromkeys(("iv", "delta", "gamma", "vega", "theta", "rho"), ...), "one of them at least"),
        (RISK_GREEKS_V1, {"iv": -0.1}, ">= 0"),
        (NEWS_V1, {"sentiment": 1.5}, "<= 1"),
        (NEWS_V1, {"url": "javascript:alert(1)"}, "matching regex"),
        (NEWS_V1, {"url": "https://news.example/\n"}, "matching regex"),
        (NEWS_V1, {"tickers": ["A"] * 1_001}, "length <= 1000"),
        (NEWS_V1, {"tickers": ["NVDA", "A\0"]}, r"tickers\[1\] holds a NUL"),
        (CALENDAR_V1, {"importance": "huge"}, "Invalid enum value"),
        (ORDERBOOK_V1, {"depth": 1}, "more levels than its depth"),
        (ORDERBOOK_V1, {"levels": {"bids": [[1.0, 1], [2.0, 1]], "asks": []}}, "bids do not go down"),
        (ORDERBOOK_V1, {"levels": {"bids": [], "asks": [[1.0, 1], [1.0, 2]]}}, "asks do not go up"),
        (ORDERBOOK_V1, {"levels": {"bids": [[1.0]], "asks": []}}, "length 2"),
        (REPLAY_REQUEST_V1, {"end": None}, "start and end go together"),
        (REPLAY_REQUEST_V1, {"start": END, "end": START}, "end is not after start"),
        (REPLAY_REQUEST_V1, {"start": None, "end": None}, "say what to send again"),
        (REPLAY_REQUEST_V1, {"symbols": ["A"], "keys": ["A"]}, "exclude each other"),
        (REPLAY_REQUEST_V1, {"symbol": "A"}, "unknown field"),
        (REPLAY_REQUEST_V1, {"target": "a topic"}, "matching regex"),
        (REPLAY_STATUS_V1, {"state": "failed"}, "a request that is failed has a reason"),
        (REPLAY_STATUS_V1, {"left": [[0, 2, 1]]}, "an offset lies behind the end"),
        (REPLAY_STATUS_V1, {"request": "sha256:0"}, "matching regex"),
        (GAP_V1, {"end": "2025-10-28T07:14:29Z"}, "end is before begin"),
        (GAP_V1, {"detail": "no history"}, "a gap that is filled has no detail"),
        (GAP_V1, {"reason": "weather"}, "Invalid enum value"),
    ],
)
def test_a_message_that_breaks_a_rule_is_refused(kind: MessageType, changes: dict[str, Any], error: str) -> None:
    kind.decode(changed(kind))
    with pytest.raises(msgspec.ValidationError, match=error):
        kind.decode(changed(kind, **changes))


def test_a_crossed_quote_is_one_and_so_is_a_side_alone() -> None:
    assert QUOTES_V2.decode(changed(QUOTES_V2, bid=6702.0)).bid == 6702.0
    assert QUOTES_V2.decode(changed(QUOTES_V2, bid=..., bid_size=...)).bid is None
