"""What ccxt makes of recorded messages of its venues, through the connector's mapping.

They are in ccxt's repository, in ts/src/test/static/ws; MDP_CCXT_VECTORS names that folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.ccxt.messages import Messages
from connectors.connector import Raw
from normalize.feed import Arrivals, Feed
from normalize.mapping import load_mappings
from normalize.normalizer import Normalizer
from tests.harness import PROJECT

FOLDER = os.environ.get("MDP_CCXT_VECTORS")
NOW_NS = 1_790_000_000_000_000_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(FOLDER is None, reason="MDP_CCXT_VECTORS does not name the folder of ccxt's static vectors"),
]


def parsed(content: dict[str, Any], *methods: str) -> Iterator[Any]:
    for method in methods:
        for case in content["methods"].get(method, ()):
            yield from case["parsedResponses"]


def raw_messages(venue: str, content: dict[str, Any]) -> Iterator[Raw]:
    messages = Messages(venue, {})
    for trades in parsed(content, "watchTrades", "watchTradesForSymbols"):
        yield from messages.trades(trades)
    for ticker in parsed(content, "watchTicker"):
        if ticker.get("bid") is not None or ticker.get("ask") is not None:
            yield messages.quote(ticker, NOW_NS)
    for tickers in parsed(content, "watchBidsAsks"):
        yield from (messages.quote(ticker, NOW_NS) for ticker in tickers.values())
    for book in parsed(content, "watchOrderBook", "watchOrderBookForSymbols"):
        yield messages.book(book, 10, NOW_NS)


def test_whatever_ccxt_has_read_becomes_messages() -> None:
    mappings, counts = load_mappings(PROJECT / "connectors" / "ccxt" / "mapping.yaml"), {}
    for file in sorted(Path(str(FOLDER)).glob("*.json")):
        raw = list(raw_messages(file.stem, json.loads(file.read_text(encoding="utf-8"))))
        result = Normalizer(mappings, Feed(file.stem)).normalize(raw, Arrivals([NOW_NS] * len(raw)))
        assert result.rejected == [], file.stem
        counts[file.stem] = sum(map(len, result.accepted))
    assert sum(counts.values()) > 100
    assert len(counts) > 10
