from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from bench import latency, latency_feed
from bench.latency_site import PROJECT, Close, Found, Job
from codec.decode import Decoder
from contracts.record import Fetch, Records

SECOND_US = 1_000_000
WINDOW_NS = 2_000_000_000
SYMBOLS = [f"S{number:03d}" for number in range(40)]
START_US = 1_760_000_000 * SECOND_US


class Log:
    """Takes what a producer is given."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, int]] = []

    def produce(self, topic: str, value: bytes, key: bytes, partition: int) -> None:
        self.sent.append((value, partition))


class Logged:
    """A record as the decoder sees it."""

    def __init__(self, offset: int, content: bytes, time_ms: int) -> None:
        self._offset, self._content, self._time_ms = offset, content, time_ms

    def value(self) -> bytes:
        return self._content

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return 2, self._time_ms

    def headers(self) -> None:
        return None

    def key(self) -> None:
        return None


def sent(seconds: int, rate: int = 100) -> tuple[Log, latency_feed.Feed]:
    log: Any = Log()
    parts = latency_feed.market(SYMBOLS, 4)
    feed = latency_feed.Feed(log, "events", parts, 4, rate, START_US, WINDOW_NS, 500_000_000)
    for due in range(0, seconds * rate + 1, 7):
        feed.send(due)
    return log, feed


def decoded(contents: Sequence[bytes]) -> pl.DataFrame:
    records: Any = [Logged(offset, content, START_US // 1_000 + 60_000) for offset, content in enumerate(contents)]
    fetch = Fetch(topic="events", partition=0, next_offset=len(records), records=Records.of(records))
    batch = Decoder(WINDOW_NS, 5_000_000_000).decode_all([fetch])
    assert batch.rejects.is_empty()
    return batch.events


def test_the_events_of_the_load_are_valid_distinct_and_on_time() -> None:
    log, _ = sent(seconds=9)
    events = decoded([content for content, _ in log.sent])
    assert events.height == len(log.sent) == events["event_id"].n_unique()
    assert (events["src_ts"] - START_US * 1_000).to_list() == [n * 10_000_000 for n in range(events.height)]


def test_a_window_closes_on_each_partition_by_the_first_event_that_is_late_enough() -> None:
    log, feed = sent(seconds=9)
    events = decoded([content for content, _ in log.sent]).select("src_ts")
    placed = events.with_columns(partition=pl.Series([partition for _, partition in log.sent]))
    for partition, end, _ in feed.closers:
        closing = placed.filter(pl.col("partition") == partition, pl.col("src_ts") >= end + 500_000_000)
        assert closing["src_ts"][0] < end + 1_500_000_000
    windows = [START_US * 1_000 + number * WINDOW_NS for number in range(1, 5)]
    assert sorted((end, partition) for partition, end, _ in feed.closers) == [
        (end, partition) for end in windows for partition in range(4)
    ]


def test_quantiles_are_samples_and_the_last_one_is_the_worst() -> None:
    assert latency.quantiles([n * 1_000_000 for n in range(100, 0, -1)]) == {
        "p50": 50.0,
        "p90": 90.0,
        "p99": 99.0,
        "max": 100.0,
    }
    assert latency.quantiles([7_000_000])["p99"] == 7.0


def test_a_close_without_a_sample_fails_the_measurement() -> None:
    job = Job(10_000, 60.0, 10.0, 2_000, 1.0, tuple(SYMBOLS), (), steps=False)
    seen, unseen = Close(0, 1, 100, 2_000_100, 3_000_100), Close(1, 1, 100, None, 3_000_100)
    found = latency.section(job, _found([seen]))
    assert (found["signal_ms"]["p50"], found["bar_ms"]["p50"], found["samples"]) == (2.0, 3.0, 1)
    with pytest.raises(SystemExit, match="1 of 2 closes without a sample"):
        latency.section(job, _found([seen, unseen]))


def _found(closes: list[Close]) -> Found:
    return Found(closes, 10_000.0, 2.0, 0.1, 0.1, 0.5, PROJECT)
