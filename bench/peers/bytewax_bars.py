"""The job as in Bytewax's documentation: a message, a dictionary and a window per event, with `json.loads` for each.

`--frozen` gives it the improvements that a reader of its source would make: a clock that stands still, so that the
machine's time does not advance the watermark, and nothing is lost; events folded in order of arrival (`ordered=False`),
because sorting them costs more than comparing their times; and typed decoding by msgspec, which is fairer to it than
`json.loads`. Neither has a recovery store. Rows are upserted, as the documented clock closes some windows twice.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import bytewax.operators as op
import msgspec
import psycopg
from bytewax.connectors.kafka import KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow, Stream
from bytewax.operators.windowing import EventClock, TumblingWindower, WindowOut, fold_window
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.run import cli_main

from bench import meter

ALIGN_TO = datetime(1970, 1, 1, tzinfo=UTC)
WINDOW = timedelta(seconds=2)
WINDOWER = TumblingWindower(align_to=ALIGN_TO, length=WINDOW)
WAIT = timedelta(milliseconds=500)

TABLE = """
CREATE TABLE bars (
    symbol text, window_start timestamptz, open float8, high float8, low float8, close float8,
    volume float8, vwap float8, trades int8, PRIMARY KEY (symbol, window_start)
)"""
UPSERT = """
INSERT INTO bars VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (symbol, window_start) DO UPDATE
SET open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
    volume = excluded.volume, vwap = excluded.vwap, trades = excluded.trades"""


class Event(msgspec.Struct):
    symbol: str
    src_ts: datetime
    c: float
    v: float
    event_id: str


class Bar:
    """Of events in the order of their times."""

    __slots__ = ("close", "high", "low", "open", "seen", "turnover", "volume")

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.open = self.close = math.nan
        self.high, self.low = -math.inf, math.inf
        self.volume = self.turnover = 0.0

    def add(self, event_id: str, price: float, size: float) -> Bar:
        if event_id in self.seen:
            return self
        if not self.seen:
            self.open = price
        self.seen.add(event_id)
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.close = price
        self.volume += size
        self.turnover += price * size
        return self

    def merge(self, _: Self) -> Self:
        raise AssertionError("tumbling windows are not merged")


class UnorderedBar(Bar):
    """Of events in any order."""

    __slots__ = ("first", "last")

    def __init__(self) -> None:
        super().__init__()
        self.first = datetime.max.replace(tzinfo=UTC)
        self.last = datetime.min.replace(tzinfo=UTC)

    def add_event(self, event: Event) -> UnorderedBar:
        price, size, time = event.c, event.v, event.src_ts
        if event.event_id in self.seen:
            return self
        self.seen.add(event.event_id)
        if time < self.first:
            self.first, self.open = time, price
        if time > self.last:
            self.last, self.close = time, price
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.volume += size
        self.turnover += price * size
        return self


def row(item: tuple[str, tuple[int, Bar]]) -> tuple[Any, ...]:
    symbol, (window, bar) = item
    vwap = bar.turnover / bar.volume if bar.volume else None
    start = ALIGN_TO + window * WINDOW
    return symbol, start, bar.open, bar.high, bar.low, bar.close, bar.volume, vwap, len(bar.seen)


class _BarsPartition(StatelessSinkPartition[tuple[Any, ...]]):
    def __init__(self, conninfo: str) -> None:
        self._connection = psycopg.connect(conninfo)

    def write_batch(self, items: list[tuple[Any, ...]]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(UPSERT, items)
        self._connection.commit()

    def close(self) -> None:
        self._connection.close()


class BarsSink(DynamicSink[tuple[Any, ...]]):
    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _BarsPartition:
        return _BarsPartition(self._conninfo)


def documented(messages: Stream[KafkaSourceMessage[Any, Any]]) -> WindowOut[Any, Bar]:
    events = op.map("decode", messages, lambda message: json.loads(message.value))
    keyed = op.key_on("symbol", events, lambda event: event["symbol"])
    clock: EventClock[Any] = EventClock(lambda event: datetime.fromisoformat(event["src_ts"]), WAIT)
    return fold_window(
        "bars",
        keyed,
        clock,
        WINDOWER,
        Bar,
        lambda bar, event: bar.add(event["event_id"], event["c"], event["v"]),
        Bar.merge,
    )


def frozen(messages: Stream[KafkaSourceMessage[Any, Any]]) -> WindowOut[Any, Bar]:
    decode = msgspec.json.Decoder(Event).decode
    events = op.map("decode", messages, lambda message: decode(message.value))
    keyed = op.key_on("symbol", events, lambda event: event.symbol)
    clock: EventClock[Any] = EventClock(
        lambda event: event.src_ts, WAIT, now_getter=lambda: ALIGN_TO, to_system_utc=lambda _: None
    )
    return fold_window(
        "bars", keyed, clock, WINDOWER, UnorderedBar, UnorderedBar.add_event, UnorderedBar.merge, ordered=False
    )


def flow(brokers: str, topic: str, conninfo: str, windows: Callable[[Any], WindowOut[Any, Bar]]) -> Dataflow:
    dataflow = Dataflow("idiomatic")
    messages = op.input("events", dataflow, KafkaSource([brokers], [topic], tail=False))
    bars = windows(messages)
    op.output("postgres", op.map("row", bars.down, row), BarsSink(conninfo))
    return dataflow


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--brokers", "--topic", "--conninfo"):
        parser.add_argument(name, required=True)
    parser.add_argument("--frozen", action="store_true")
    asked = parser.parse_args()
    with psycopg.connect(asked.conninfo) as connection:
        connection.execute(TABLE)
    bars = flow(asked.brokers, asked.topic, asked.conninfo, frozen if asked.frozen else documented)
    meter.metered(cli_main, KafkaSource)(bars)


if __name__ == "__main__":
    main()
