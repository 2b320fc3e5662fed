"""The topic that all contenders read, and the bars that are in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import polars as pl
import psycopg
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from sources.outgoing import Sent
from sources.pacing import WallClock, at_once
from sources.producer import produce
from sources.synthetic import SyntheticConfig, SyntheticMarket

SYMBOLS = 500
TICKS_PER_SECOND = 10.0  # of each symbol, in event time: 20 ticks in a bar
WINDOW = "2s"
KEYS = ("symbol", "window_start")
_EXACT = ("open", "high", "low", "close", "volume", "trades")
_VWAP_TOLERANCE = 1e-9  # relative: contenders may add in any order
_BATCH = 10_000


class _Event(msgspec.Struct):
    symbol: str
    src_ts: str
    seq: int
    c: float
    v: float
    event_id: str


@dataclass(frozen=True)
class Verdict:
    """How the bars that a contender has written differ from those that are in the topic."""

    bars: int
    missing: int
    extra: int
    wrong: int
    volume_lost: float

    @property
    def exact(self) -> bool:
        return not (self.missing or self.extra or self.wrong)


def fill(brokers: str, topic: str, count: int) -> Sent:
    """Writes `count` events, and 1 % of them twice and 1 % out of order, each with every field of Event v1."""
    config = SyntheticConfig(
        symbols=SYMBOLS, tick_rate=TICKS_PER_SECOND, duplicates=0.01, out_of_order=0.01, max_delay_ms=400, seed=1
    )
    span = int(count / (SYMBOLS * TICKS_PER_SECOND) * 1e9)
    market = SyntheticMarket(config, time.time_ns() - span)
    chunks = at_once(_complete(market.chunks(count)), WallClock(threading.Event()))
    return produce(chunks, {"bootstrap.servers": brokers}, topic)


def _complete(chunks: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """A tick's open, high and low are its price. About 300 bytes as JSON."""
    price = {name: pl.col("c") for name in ("o", "h", "l")}
    for chunk in chunks:
        yield chunk.with_columns(**price, ingest_ts="arrival", interval=pl.lit("tick"))


def reference(brokers: str, topic: str, file: str) -> int:
    """Writes the bars that are in the topic to a Parquet file, and returns how many records the topic holds."""
    events = _read(brokers, topic)
    once = events.unique("event_id", keep="first", maintain_order=True)
    bars = (
        once.with_columns(pl.col("src_ts").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", time_zone="UTC"))
        .sort("src_ts", "seq")
        .group_by("symbol", window_start=pl.col("src_ts").dt.truncate(WINDOW), maintain_order=True)
        .agg(
            open=pl.col("c").first(),
            high=pl.col("c").max(),
            low=pl.col("c").min(),
            close=pl.col("c").last(),
            volume=pl.col("v").sum(),
            vwap=(pl.col("c") * pl.col("v")).sum() / pl.col("v").sum(),
            trades=pl.len().cast(pl.Int64),
        )
    )
    bars.write_parquet(file)
    return events.height


def _read(brokers: str, topic: str) -> pl.DataFrame:
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "reference", "fetch.queue.backoff.ms": 5})
    partitions = [
        TopicPartition(topic, partition, OFFSET_BEGINNING)
        for partition in consumer.list_topics(topic).topics[topic].partitions
    ]
    left = sum(consumer.get_watermark_offsets(partition)[1] for partition in partitions)
    consumer.assign(partitions)
    decode = msgspec.json.Decoder(_Event).decode
    frames = []
    while left:
        events = [decode(message.value() or b"") for message in consumer.consume(min(_BATCH, left), 1.0)]
        frames.append(
            pl.DataFrame([msgspec.structs.astuple(event) for event in events], _Event.__struct_fields__, orient="row")
        )
        left -= len(events)
    consumer.close()
    return pl.concat(frames, how="vertical_relaxed")


def judge(conninfo: str, table: str, file: str) -> Verdict:
    """Compares a contender's table with the reference."""
    expected = pl.read_parquet(file)
    found = _written(conninfo, table)
    both = expected.join(found, on=KEYS, suffix="_found")
    differs = [pl.col(name) != pl.col(f"{name}_found") for name in _EXACT]
    vwap = (pl.col("vwap") - pl.col("vwap_found")).abs() > _VWAP_TOLERANCE * pl.col("vwap").abs()
    return Verdict(
        bars=found.height,
        missing=expected.height - both.height,
        extra=found.height - both.height,
        wrong=both.filter(pl.any_horizontal(*differs, vwap)).height,
        volume_lost=1 - float(found["volume"].sum()) / float(expected["volume"].sum()),
    )


def _written(conninfo: str, table: str) -> pl.DataFrame:
    columns = [*KEYS, "open", "high", "low", "close", "volume", "vwap", "trades"]
    query = f"SELECT {', '.join(columns)} FROM {table}"
    schema = dict.fromkeys(columns, pl.Float64) | {
        "symbol": pl.String(),
        "window_start": pl.Datetime("us", "UTC"),
        "trades": pl.Int64(),
    }
    with psycopg.connect(conninfo) as connection:
        rows = connection.execute(query.encode()).fetchall()
    return pl.DataFrame(rows, schema, orient="row")
