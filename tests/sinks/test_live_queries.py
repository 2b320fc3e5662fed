"""The live page's queries, against a real database."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from contracts.batch import Outcomes
from sinks.connection import StoreUnavailable
from sinks.queries.live import Bar, LiveReader, Series, Signal
from sinks.schema.migrate import migrate
from tests.harness import SECONDS

A, B = Series("feed", "A", "1s"), Series("feed", "B", "1s")
ROWS = """
INSERT INTO bars_ohlcv
SELECT 'feed', symbol, '1s', to_timestamp(second), to_timestamp(second + 1), 1, 2, 0.5, second, 10,
    CASE WHEN second > 1 THEN 1.5 END, 3, 0, 0, 'ticks', second, 0
FROM unnest(ARRAY['A', 'B']) AS symbol, generate_series(1, 9) AS second
"""
SIGNALS = """
INSERT INTO signals
SELECT 'feed|' || symbol || second, 'feed', symbol, '1s', to_timestamp(second), 'up', 1, 0.5, 'rules', meta::jsonb,
    0, 'ticks', second, 0
FROM (VALUES ('A', 3, '{"price": 7.5}'), ('A', 5, '{"price": "x"}'), ('B', 4, NULL)) AS made (symbol, second, meta)
"""
LISTED = """
INSERT INTO series SELECT DISTINCT 'bars_ohlcv', provider, symbol, "interval" FROM bars_ohlcv
    UNION SELECT 'signals', provider, symbol, "interval" FROM signals
ON CONFLICT DO NOTHING
"""
PROGRESS = """
INSERT INTO progress (flow, topic, partition, next_offset, accepted, amending, duplicate, late, rejected, heartbeat)
VALUES ('f', 'ticks', 0, 10, 1, 2, 3, 4, 5, 6), ('f', 'ticks', 1, 5, 1, 1, 1, 1, 1, 1)
"""


@pytest.fixture
def reader(database: str) -> Iterator[LiveReader]:
    migrate(database, ["ret_10s"])
    with psycopg.connect(database) as connection:
        for statement in (ROWS, SIGNALS, LISTED, PROGRESS):
            connection.execute(statement)
    live = LiveReader(database)
    yield live
    live.close()


def test_the_newest_bars_of_each_series_oldest_first(reader: LiveReader) -> None:
    found = reader.bars([B, A, Series("feed", "none", "1s")], 2)
    assert {series: [bar.time for bar in bars] for series, bars in found.items()} == {
        B: [8000, 9000], A: [8000, 9000], Series("feed", "none", "1s"): [],
    }  # fmt: skip
    assert found[A][1] == Bar(9000, 1.0, 2.0, 0.5, 9.0, 10.0, 1.5, 3, 0)
    assert [bar.time for bar in reader.bars([A], 2, before=3000)[A]] == [1000, 2000]
    assert reader.bars([A], 1, before=2000)[A][0].vwap is None
    assert reader.bars([], 1) == {}


def test_signals_with_the_price_if_it_is_a_number(reader: LiveReader) -> None:
    newest, _, oldest = reader.recent_signals(3)
    assert oldest == Signal("feed", "A", "1s", 3000, "up", "rules", 1.0, 0.5, 7.5)
    assert newest.price is None


def test_the_newest_signals_are_of_each_provider_and_name(reader: LiveReader, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(SIGNALS.replace("'feed'", "'other'").replace("'up'", "'down'").encode())
        connection.execute(LISTED)
    found = [(signal.time, signal.provider, signal.name) for signal in reader.recent_signals(2)]
    assert found == [(time, *whose) for time in (5000, 4000) for whose in (("feed", "up"), ("other", "down"))]


def test_features_are_the_columns_that_are_no_keys(reader: LiveReader) -> None:
    assert reader.feature_names() == ["ret_10s"]


def test_series_and_progress(reader: LiveReader) -> None:
    assert reader.series() == [A, B]
    progress = reader.progress()["f"]
    assert (progress.position, progress.outcomes) == (15, Outcomes(2, 3, 4, 5, 6, 7))
    assert 0 <= progress.age < 60


def test_a_database_without_tables_is_one_to_wait_for(database: str) -> None:
    with closing(LiveReader(database)) as reader, pytest.raises(StoreUnavailable, match="mdp store migrate"):
        reader.progress()


def test_the_reader_comes_back_after_its_connection_broke(reader: LiveReader, database: str) -> None:
    assert reader.series()
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with pytest.raises(StoreUnavailable):
        reader.series()
    assert reader.series()


def test_who_waits_for_a_server_that_hangs_can_be_called_off(reader: LiveReader, database: str) -> None:
    assert reader.series()
    with psycopg.connect(database) as owner, ThreadPoolExecutor(1) as threads:
        ((server,),) = owner.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND application_name = 'mdp'"
        ).fetchall()
        os.kill(server, signal.SIGSTOP)
        try:
            waiting = threads.submit(reader.series)
            with pytest.raises(TimeoutError):
                waiting.result(0.2)
            reader.disconnect()
            with pytest.raises(StoreUnavailable):
                waiting.result(SECONDS)
        finally:
            os.kill(server, signal.SIGCONT)
    assert reader.series()


def test_five_thousand_symbols_cost_what_is_shown_of_them(reader: LiveReader, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            ROWS.replace("unnest(ARRAY['A', 'B'])", "(SELECT 'S' || n FROM generate_series(1, 5000) AS n)")
        )
        connection.execute(LISTED)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("ANALYZE bars_ohlcv")
    names = reader.series()
    assert len(names) == 5_002
    begin = time.monotonic()
    for _ in range(10):
        reader.bars(names[2_000:2_040], 40)
    assert (time.monotonic() - begin) / 10 < 0.1
