"""Surveys events before they are sent: how many there are, and how many would be late or rejected."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, cast

import polars as pl

from codec.market_batch import MarketDecoder
from contracts.batch import NO_EVENTS
from contracts.record import Fetch, Record, Records
from features.bars.window_config import WindowConfig
from transports.kafka.config import KafkaConfig
from transports.kafka.partitioner import Partitioner
from transports.kafka.topic_reader import TopicReader

_NEVER: Final = -(2**63)
_FEED: Final = ("partition", "provider")
_TOLD: Final = ("provider", "symbol", "src_ts", "c")
_LAST_RECORDS: Final = 200  # of a partition: they include the newest event time of its provider, or nearly so


@dataclass(slots=True)
class Survey:
    """Statistics of events in sending order, and their outcomes in a flow with a config.

    Lines without a readable provider, symbol and time are only counted. An event is late by the rule of
    `features.bars.windows`: its window ended before the watermark of its provider and partition by more than the time
    for amendments.

    Attributes:
        partitions: of the topic.
        newest: the latest event time (partition, provider, newest); initially that of the topic.
        now_ns: the time of sending; events too far ahead of it are rejected, and do not advance the watermark.
    """

    window: WindowConfig
    partitions: int
    newest: pl.DataFrame
    now_ns: int = field(default_factory=time.time_ns)
    rows: int = 0
    late: int = 0
    rejected: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    symbols: set[str] = field(default_factory=set)

    @property
    def late_share(self) -> float:
        return self.late / self.rows if self.rows else 0.0

    def over(self, frames: Iterator[pl.DataFrame]) -> Survey:
        """Surveys all events; takes OUTGOING frames."""
        partitioner = Partitioner(self.partitions)
        for frame in frames:
            self.rows += frame.height
            self.symbols.update(frame["symbol"].drop_nulls().unique())
            self._judge(frame.select("provider", "src_ts", partition=partitioner.assign(frame["symbol"])).drop_nulls())
        return self

    def _judge(self, events: pl.DataFrame) -> None:
        in_time = events.filter(pl.col("src_ts") <= self.now_ns + self.window.max_future_ms * 1_000_000)
        self.rejected += events.height - in_time.height
        if in_time.is_empty():
            return
        before = in_time.join(self.newest, on=_FEED, how="left", maintain_order="left")
        newest = pl.max_horizontal(pl.col("src_ts").cum_max().over(_FEED), pl.col("newest").fill_null(_NEVER))
        judged = before.with_columns(newest=newest)
        end = (pl.col("src_ts") // self.window.window_ns + 1) * self.window.window_ns
        is_late = pl.col("newest") - self.window.allow_late_ns - end > self.window.amend_ns
        late, first, last = judged.select(is_late.sum(), first=pl.col("src_ts").min(), last=pl.col("src_ts").max()).row(
            0
        )
        self.late += late
        self.first_ns = first if self.first_ns is None else min(self.first_ns, first)
        self.last_ns = last if self.last_ns is None else max(self.last_ns, last)
        self.newest = latest(pl.concat([self.newest, judged.select(self.newest.columns)]))


def latest(times: pl.DataFrame) -> pl.DataFrame:
    """The newest time of each partition and provider."""
    return times.group_by(_FEED).agg(pl.col("newest").max())


def newest_of(config: KafkaConfig, topic: str, decoder: MarketDecoder) -> tuple[int, pl.DataFrame]:
    """The number of a topic's partitions, and their providers' newest event times, according to the last records.

    Raises:
        SourceError: no broker answers, or the topic does not exist.
    """
    partitions, events = last_events(config, topic, decoder)
    return partitions, latest(events.select(*_FEED, newest="src_ts"))


def last_events(config: KafkaConfig, topic: str, decoder: MarketDecoder) -> tuple[int, pl.DataFrame]:
    """The number of a topic's partitions, and the events and heartbeats in the last records of each.

    Returns:
        the number, and rows (partition, provider, symbol, src_ts, c) in the order of each partition's log.

    Raises:
        SourceError: no broker answers, or the topic does not exist.
    """
    found = [NO_EVENTS.select(pl.lit(0, pl.Int64).alias("partition"), *_TOLD)]
    with TopicReader(config, topic) as reader:
        for partition in reader.partitions:
            low, high = reader.bounds(partition)
            for messages in reader.span(partition, max(low, high - _LAST_RECORDS), high):
                records = Records.of(cast(list[Record], messages))
                following = int(records.offsets[-1]) + 1
                fetch = Fetch(topic=topic, partition=partition, next_offset=following, records=records)
                events = decoder.decode(fetch).events
                found.append(events.select(pl.lit(partition, pl.Int64).alias("partition"), *_TOLD))
        return len(reader.partitions), pl.concat(found)
