"""What charts show, against the tables and the rollups themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from sinks.queries.charts import ROLLUP_LENGTHS, Chart, ChartReader, ChartRows, Mark
from sinks.queries.live import Bar, LiveReader, Series
from sinks.schema.migrate import migrate

A = Series("feed", "A", "2s")
BARS = """
INSERT INTO bars_ohlcv
SELECT 'feed', symbol, '2s', at, at + interval '2 seconds', 10 + n % 7, 20 + n % 11, 1 + n % 3, 10 + n % 5, n % 13,
    CASE WHEN n % 13 > 0 THEN 11 END, 3, 0, 0, 'ticks', n, 0
FROM unnest(ARRAY['A', 'B']) AS symbol, generate_series(0, 20000) AS n,
    LATERAL (SELECT '2025-10-24T14:00:30Z'::timestamptz + n * interval '2 seconds'
        + CASE WHEN n > 9000 THEN interval '3 days' ELSE '0' END AS at) AS made
WHERE n % 17 > 0
"""  # eleven hours, in the middle of which is a weekend
FEATURES = """
INSERT INTO features
    (provider, symbol, "interval", ts, partition, source_topic, source_offset, source_row, rsi, "a ""b")
SELECT provider, symbol, "interval", window_end, 0, 'ticks', source_offset, 0, source_offset, NULL FROM bars_ohlcv
"""
SIGNALS = """
INSERT INTO signals
SELECT symbol || source_offset, provider, symbol, "interval", window_end, 'up',
    (ARRAY[1, -2, 0, NULL])[source_offset % 4 + 1], 0.5, 'rules', NULL, 0, 'ticks', source_offset, 0
FROM bars_ohlcv WHERE source_offset % 7 = 0
"""
EPOCH_MS = "(extract(epoch FROM {}) * 1000)::bigint"


@pytest.fixture
def stored(database: str) -> str:
    migrate(database, ["rsi", 'a "b'])
    with psycopg.connect(database) as connection:
        for statement in (BARS, FEATURES, SIGNALS):
            connection.execute(statement.encode())
    return database


@pytest.fixture
def reader(stored: str) -> Iterator[ChartReader]:
    live = LiveReader(stored)
    yield ChartReader(live)
    live.close()


def select(database: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(query.encode()).fetchall()


def pages(reader: ChartReader, chart: Chart, limit: int) -> list[ChartRows]:
    """The whole history, page by page, oldest first."""
    found: list[ChartRows] = []
    before = None
    while (page := reader.read(chart, limit, before)).bars:
        assert len(page.bars) <= limit
        found.insert(0, page)
        before = page.bars[0].time
    return found


def all_bars(found: list[ChartRows]) -> list[Bar]:
    return [bar for page in found for bar in page.bars]


@pytest.mark.parametrize("length", ROLLUP_LENGTHS)
def test_longer_bars_are_those_of_the_rollup_over_gaps_too(stored: str, reader: ChartReader, length: str) -> None:
    time = EPOCH_MS.format("bucket")
    rows = select(
        stored,
        f"SELECT {time}, open, high, low, close, volume, vwap, trades, 0 FROM bars_{length}"
        " WHERE symbol = 'A' ORDER BY bucket",
    )
    assert len(rows) > 10
    assert all_bars(pages(reader, Chart(A, length), 100)) == [Bar(*row) for row in rows]


def test_a_page_is_made_of_no_more_bars_than_a_look_may_cost(database: str) -> None:
    migrate(database, [])
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO bars_ohlcv"
            " SELECT 'feed', 'A', '2s', at, at + interval '2 seconds', 1, 2, 1, 1, 1, 1, 1, 0, 0, 't', 0, 0"
            " FROM generate_series('2025-10-24'::timestamptz, '2025-10-27', '2 seconds') AS at"
        )
    live = LiveReader(database)
    found = ChartReader(live).read(Chart(A, "1h"), 1_000)
    is_materialized = live.edition.name == "COMMUNITY"
    live.close()
    assert len(found.bars) == (73 if is_materialized else 16)


def test_bars_as_they_are_come_page_by_page(stored: str, reader: ChartReader) -> None:
    ((count,),) = select(stored, "SELECT count(*) FROM bars_ohlcv WHERE symbol = 'A'")
    found = all_bars(pages(reader, Chart(A), 1_000))
    assert len(found) == count
    assert [bar.time for bar in found] == sorted({bar.time for bar in found})


@pytest.mark.parametrize("length", ["", "5m"])
def test_each_signal_is_counted_at_its_bar_once(stored: str, reader: ChartReader, length: str) -> None:
    start = f"(extract(epoch FROM ts - interval '2 seconds') * 1000)::bigint / {300_000 if length else 2_000}"
    start += f" * {300_000 if length else 2_000}"
    rows = select(
        stored,
        f"SELECT {start}, name, adapter, sign(value)::integer, count(*) FROM signals WHERE symbol = 'A'"
        " GROUP BY 1, 2, 3, 4 ORDER BY 1, 4",
    )
    found = [mark for page in pages(reader, Chart(A, length), 700) for mark in page.marks]
    assert found == [Mark(*row) for row in rows]
    assert {mark.direction for mark in found} == {1, -1, 0, None}


@pytest.mark.parametrize("length", ["", "5m"])
def test_features_are_those_at_the_end_of_each_bar(stored: str, reader: ChartReader, length: str) -> None:
    chart = Chart(A, length, ("rsi", 'a "b'))
    last = dict(
        select(
            stored,
            f"SELECT {EPOCH_MS.format('window_start')} / {chart.window} * {chart.window}, max(source_offset)::float8"
            " FROM bars_ohlcv WHERE symbol = 'A' GROUP BY 1",
        )
    )
    found = [row for page in pages(reader, chart, 700) for row in page.features]
    assert found == [(time, last[time], None) for time in sorted(last)]


def test_no_more_signals_are_counted_than_a_look_may_cost(stored: str, reader: ChartReader) -> None:
    with psycopg.connect(stored) as connection:
        connection.execute(
            "INSERT INTO signals SELECT n, 'feed', 'A', '2s', '2025-10-24T14:00:32Z', 'n' || n, 1, 1, 'rules', NULL,"
            " 0, 'ticks', 0, 0 FROM generate_series(1, 10001) AS n"
        )
    oldest = pages(reader, Chart(A, "5m"), 100)[0]
    assert sum(mark.signals for mark in oldest.marks) == 10_000


def test_of_what_is_not_there_nothing_is_shown(reader: ChartReader) -> None:
    for length in ("", "1m"):
        assert reader.read(Chart(Series("feed", "none", "2s"), length, ("rsi",)), 10) == ChartRows()
    assert reader.read(Chart(Series("feed", "A", "7s"), "1m"), 10) == ChartRows()
