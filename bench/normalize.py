"""`python -m bench.normalize`: what raw messages cost to become canonical envelopes, per second of one core.

Trades and quotes in the form of the Coinbase feed, a thousand at a time, as a fetch has them: mapping, validation,
ids, checksum and the text of the envelope are all in. CPU time of this process; medians of repetitions.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bench import results
from native import memory_tuning
from normalize.feed import Arrivals, Feed
from normalize.mapping import parse_mapping
from normalize.normalizer import Normalizer

MESSAGES_A_SECOND: Final = 250_000
AT_ONCE: Final = 1_000
SYMBOLS: Final = 500
_START: Final = datetime(2025, 10, 28, 7, 14, 29, tzinfo=UTC)
_FEED: Final = Feed("coinbase", realm="chamber_us", region="US")
_VENUE: Final = {"value": "COINBASE"}

TRADES: Final[dict[str, Any]] = {
    "type": "trades/v2",
    "event_time": "time",
    "sequence": "sequence",
    "fields": {
        "symbol": "product_id",
        "price": "price",
        "size": "size",
        "side": {"path": "side", "values": {"sell": "buy", "buy": "sell"}},
        "trade_id": "trade_id",
        "venue": _VENUE,
    },
}
QUOTES: Final[dict[str, Any]] = {
    "type": "quotes/v2",
    "event_time": "time",
    "sequence": "sequence",
    "fields": {
        "symbol": "product_id",
        "bid": "best_bid",
        "ask": "best_ask",
        "bid_size": "best_bid_size",
        "ask_size": "best_ask_size",
        "venue": _VENUE,
    },
}


def trade(number: int, chance: random.Random) -> dict[str, Any]:
    return {
        "type": "match",
        "trade_id": 883_162_574 + number,
        "maker_order_id": "ac928c66-ca53-498f-9c13-a110027a60e8",
        "taker_order_id": "132fb6ae-456b-4654-b4e0-d681ac05cea1",
        "side": chance.choice(["buy", "sell"]),
        "size": f"{chance.uniform(0.001, 5):.8f}",
        "price": f"{chance.uniform(100, 100_000):.2f}",
        **_common(number, chance),
    }


def quote(number: int, chance: random.Random) -> dict[str, Any]:
    bid = chance.uniform(100, 100_000)
    return {
        "type": "ticker",
        "price": f"{bid:.2f}",
        "best_bid": f"{bid:.2f}",
        "best_bid_size": f"{chance.uniform(0.001, 5):.8f}",
        "best_ask": f"{bid + 0.01:.2f}",
        "best_ask_size": f"{chance.uniform(0.001, 5):.8f}",
        "volume_24h": "245532.79269678",
        **_common(number, chance),
    }


def _common(number: int, chance: random.Random) -> dict[str, Any]:
    time_text = (_START + timedelta(microseconds=137 * number)).isoformat().replace("+00:00", "Z")
    return {"product_id": f"S{chance.randrange(SYMBOLS):04}-USD", "sequence": 50 + number, "time": time_text}


def per_second(
    mapping: dict[str, Any], message: Callable[[int, random.Random], dict[str, Any]], count: int, rounds: int
) -> float:
    """The median of messages per second of CPU time."""
    chance = random.Random(count)
    raw = [json.dumps(message(number, chance), separators=(",", ":")).encode() for number in range(count)]
    parts = [raw[at : at + AT_ONCE] for at in range(0, count, AT_ONCE)]
    arrivals = Arrivals([1_761_635_670_000_000_000] * AT_ONCE, (), "raw[0]", list(range(AT_ONCE)))
    normalizer = Normalizer([parse_mapping(mapping)], _FEED)
    rates = []
    for _ in range(rounds + 1):  # the first warms up
        began = time.process_time()
        made = sum(len(group) for part in parts for group in normalizer.normalize(part, arrivals).accepted)
        rates.append(count / (time.process_time() - began))
        assert made == count
    return statistics.median(rates[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    memory_tuning.tune()  # as a worker does
    found = {
        f"{name}_per_s": round(per_second(mapping, message, asked.messages, asked.rounds))
        for name, mapping, message in (("trades", TRADES, trade), ("quotes", QUOTES, quote))
    }
    results.keep("normalize", found)
    for name, rate in found.items():
        print(f"{name.removesuffix('_per_s')}: {rate:,} a second and core  target >= {MESSAGES_A_SECOND:,}")


if __name__ == "__main__":
    main()
