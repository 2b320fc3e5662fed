"""`python -m chaos.message_load BROKERS RATE SECONDS SEED`: raw messages of a venue, some of them twice, late or wrong.

Each has a number of its own. A raw topic has no keys: messages of a symbol go to any partition.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

from confluent_kafka import Producer

from chaos.market import PARTITIONS, SYMBOLS

RAW: Final = "raw.chaos"
TRADE, QUOTE, OTHER = "t", "q", "ping"  # kinds of messages
START_MS: Final = 1_762_795_380_000

_TWICE: Final = 0.02
_WRONG: Final = 0.01
_LATE: Final = 0.05
_MOST_LATE: Final = 200  # messages
_TICK_SECONDS: Final = 0.02

# How the dataflow reads them: `each` trade of a message is one of its own.
MAPPINGS: Final[list[dict[str, Any]]] = [
    {
        "type": "trades/v2",
        "where": {"k": TRADE},
        "each": "trades",
        "event_time": {"path": "at", "unit": "ms"},
        "sequence": "n",
        "fields": {"symbol": "^s", "price": "p", "size": "q", "trade_id": "n"},
    },
    {
        "type": "quotes/v2",
        "where": {"k": QUOTE},
        "event_time": {"path": "at", "unit": "ms"},
        "sequence": "n",
        "fields": {"symbol": "s", "bid": "b", "ask": "a"},
    },
]


def messages(seed: int) -> Iterator[bytes]:
    """The load, without end."""
    draw = random.Random(seed)  # noqa: S311 - to be repeated
    number, waiting = 0, list[tuple[int, bytes]]()
    while True:
        message = json.dumps(_message(number, draw)).encode()
        delay = draw.randrange(_MOST_LATE) if draw.random() < _LATE else 0
        waiting.append((number + delay, message))
        if draw.random() < _TWICE:
            waiting.append((number + draw.randrange(_MOST_LATE), message))
        yield from (message for due, message in waiting if due <= number)
        waiting = [one for one in waiting if one[0] > number]
        number += 1


def _message(number: int, draw: random.Random) -> dict[str, Any]:
    symbol, at, price = f"S{draw.randrange(SYMBOLS)}", START_MS + number, draw.randrange(1, 10**6) / 100
    wrong = "soon" if draw.random() < _WRONG else None
    if number % 3 == 0:
        return {"k": QUOTE, "s": symbol, "at": wrong or at, "n": 10 * number, "b": f"{price}", "a": price + 0.01}
    if number % 100 == 1:
        return {"k": OTHER, "at": at}
    trades = [{"at": at, "n": 10 * number + one, "p": wrong or price + one, "q": "1.5"} for one in range(number % 3)]
    return {"k": TRADE, "s": symbol, "trades": trades}


def main() -> None:
    """Sends it; what a broker that is away does not take is not in the log."""
    brokers, rate, seconds, seed = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 20, "enable.idempotence": True, "log_level": 0})
    began, sent, load = time.monotonic(), 0, messages(seed)
    while (elapsed := time.monotonic() - began) < seconds:
        while sent < elapsed * rate:
            try:
                producer.produce(RAW, next(load), partition=sent % PARTITIONS)
                sent += 1
            except BufferError:
                break
        producer.poll(_TICK_SECONDS)
        time.sleep(_TICK_SECONDS)
    producer.flush(60)


if __name__ == "__main__":
    main()
