"""The market that the end-to-end tests run on: every fault that a feed can have, and signals of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from connectors.synthetic.market import SyntheticConfig, SyntheticMarket
from tests.harness import create_topic, produce_on_time

PARTITIONS: Final = 4
START: Final = 1_761_314_400_000_000_000  # 2025-10-24T14:00:00Z
RATE: Final = 1_000.0  # events per second, of all symbols together

FEATURES: Final = {
    "windows": [
        {"name": "vwap_10s", "horizon": "10s"},
        {"name": "ret_10s", "horizon": "10s"},
        {"name": "volatility", "horizon": "20s"},
        {"name": "momentum", "horizon": "10s"},
        {"name": "skew_20s", "horizon": "20s"},
        {"name": "kurt_20s", "horizon": "20s"},
        {"name": "rsi", "horizon": "20s"},
    ]
}
RULES: Final[list[dict[str, Any]]] = [
    {"name": "up", "condition": "momentum > 0.02", "signal": 1.0, "score": 0.8},
    {"name": "turns_down", "condition": "momentum < -0.01", "signal": -1.0, "score": 0.8, "emit": "edge"},
    {"name": "wild", "condition": "volatility > 0.01 AND volume > 100", "signal": 0.0, "score": 0.9, "emit": "edge"},
    {"name": "overbought", "condition": "rsi > 65", "signal": -1.0, "score": 0.7, "emit": "edge"},
    {"name": "skewed", "condition": "skew_20s > 0.8", "signal": 1.0, "score": 0.1, "symbols": ["SPY", "AAPL", "AAAC"]},
]


def chunks(count: int, symbols: int = 100, start: int = START, rate: float = RATE) -> Iterator[pl.DataFrame]:
    """Of all events 2 % come twice and 5 % up to 16 s late: most of those amend a bar, and some come too late."""
    config = SyntheticConfig(
        symbols=symbols,
        price_volatility=2.0,
        duplicates=0.02,
        out_of_order=0.05,
        max_delay_ms=16_000,
        malformed=0.001,
        seed=7,
    )
    yield from SyntheticMarket(config, start, rate).chunks(count)


def empty_topic(kafka: str) -> str:
    """A topic that keeps the timestamps which its records come with, however old."""
    return create_topic(kafka, "market", PARTITIONS, message_timestamp_type="CreateTime", retention_ms="-1")


def market_topic(kafka: str, count: int, symbols: int = 100, rate: float = RATE) -> str:
    """A topic of `count` events and what the faults add; records carry the times at which the events arrived."""
    topic = empty_topic(kafka)
    produce_on_time(kafka, topic, chunks(count, symbols, rate=rate), PARTITIONS)
    return topic
