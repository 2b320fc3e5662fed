"""The topics of all contenders: the same events as JSON, in envelopes, and as Arrow of 1,000 per record."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Literal

import polars as pl

from bench.envelopes import envelopes
from codec.encode import Encoding
from connectors.pacing import WallClock, at_once
from connectors.synthetic.market import SyntheticConfig, SyntheticMarket
from transports.kafka.producer import produce
from transports.outgoing import Sent

Form = Encoding | Literal["envelope"]

SYMBOLS = 500
TICKS_PER_SECOND = 10.0  # of each symbol, in event time: 20 ticks in a bar
VOLATILITY = 0.2  # of a day: enough to trigger the rules of configs/rules.yaml
_ARROW_ROWS = 500_000  # sent together, so that nearly all records of the four partitions are full


def begin(count: int) -> int:
    """The begin of a market of `count` events, in nanoseconds, so that it ends now."""
    return time.time_ns() - int(count / (SYMBOLS * TICKS_PER_SECOND) * 1e9)


def market(count: int, start: int) -> Iterator[pl.DataFrame]:
    """`count` events, 1 % of them twice and 1 % out of order, with every field of Event v1: about 290 bytes as JSON.

    The same arguments give the same events. A tick's open, high and low are its price.
    """
    config = SyntheticConfig(
        symbols=SYMBOLS,
        tick_rate=TICKS_PER_SECOND,
        price_volatility=VOLATILITY,
        duplicates=0.01,
        out_of_order=0.01,
        max_delay_ms=400,
        seed=1,
    )
    price = {name: pl.col("c") for name in ("o", "h", "l")}
    for chunk in SyntheticMarket(config, start).chunks(count):
        yield chunk.with_columns(**price, ingest_ts="arrival", interval=pl.lit("tick"))


def fill(brokers: str, topic: str, count: int, start: int, form: Form = "json") -> Sent:
    """Writes a market to a topic."""
    chunks = market(count, start)
    together = _joined(chunks) if form == "arrow" else chunks
    encoding: Encoding = "arrow" if form == "arrow" else "json"
    if form == "envelope":
        together = (chunk.with_columns(raw=envelopes(chunk)) for chunk in chunks)
    producer = {"bootstrap.servers": brokers, "message.max.bytes": 10_000_000}
    return produce(at_once(together, WallClock(threading.Event())), producer, topic, encoding)


def _joined(chunks: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    held: list[pl.DataFrame] = []
    for chunk in chunks:
        held.append(chunk)
        if sum(part.height for part in held) >= _ARROW_ROWS:
            yield pl.concat(held)
            held = []
    if held:
        yield pl.concat(held)
