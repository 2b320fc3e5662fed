"""Rollups on TimescaleDB against those of plain PostgreSQL, and how they are kept."""

from __future__ import annotations

import random
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from mdp.local import LocalStack
from sinks.merge import targets
from sinks.schema.migrate import migrate
from sinks.schema.tables import ROLLUPS
from sinks.timescale import TimescaleWriter
from tests.harness import empty_database
from tests.sinks.conftest import empty_timescale, needs_timescale
from tests.sinks.database_rows import SECOND, T0, bar, batch, select

HOUR = 3600 * SECOND
START = T0 // HOUR * HOUR

pytestmark = needs_timescale


def awkward_bars() -> list[dict[str, object]]:
    """Two hours of bars out of order, whose sums depend on the order in which they are added."""
    chance = random.Random(7)
    bars = []
    for k in range(3_600):
        low, spread = chance.uniform(0.1, 0.3), chance.uniform(0, 1e-3)
        prices = {"open": low, "high": low + spread, "low": low, "close": low + spread, "vwap": low + spread / 3}
        at = {"window_start": START + k * 2 * SECOND, "window_end": START + (k + 1) * 2 * SECOND}
        volume = 10.0 ** chance.uniform(-9, 9)
        bars.append(bar(chance.choice("AB"), k, volume=volume) | at | prices)
    chance.shuffle(bars)
    return bars


def rollups(database: str) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each view."""
    columns = "provider, symbol, bucket, open, high, low, close, volume, vwap, trades"
    return {one.view: select(database, f"SELECT {columns} FROM {one.view} ORDER BY 1, 2, 3") for one in ROLLUPS}


def test_each_read_has_the_bits_of_plain_postgresql(stack: LocalStack) -> None:
    bars = awkward_bars()
    with empty_database(stack.postgres.conninfo()) as plain, empty_timescale() as chunked:
        for database in (plain, chunked):
            migrate(database, ())
            with closing(TimescaleWriter(database, flow="f", targets=targets(()))) as writer:
                for first in range(0, len(bars), 600):
                    writer.write([batch(bars=bars[first : first + 600], next_offset=first + 600)])
        expected = rollups(plain)
        assert all(len(rows) > 1 for rows in expected.values())
        assert rollups(plain) == expected
        with psycopg.connect(chunked, autocommit=True) as owner:
            for change in (
                "SELECT 1",  # computed as they are read
                "SELECT count(compress_chunk(chunk)) FROM show_chunks('bars_ohlcv') AS chunk",
                *(f"CALL refresh_continuous_aggregate('{one.view}', NULL, NULL)" for one in ROLLUPS),
            ):
                owner.execute(change.encode())
                assert rollups(chunked) == expected
                assert rollups(chunked) == expected


@pytest.mark.parametrize("database", ["TimescaleDB"], indirect=True)
def test_a_refresh_takes_as_many_buckets_as_bars_allow_and_never_what_was_dropped(database: str) -> None:
    def policies() -> list[tuple[Any, ...]]:
        query = """
            SELECT (config->>'buckets_per_batch')::integer, (config->>'start_offset')::interval
            FROM timescaledb_information.jobs WHERE proc_name = 'policy_refresh_continuous_aggregate' ORDER BY job_id"""
        return select(database, query)

    migrate(database, ())
    assert policies() == [(buckets, None) for buckets in (720, 144, 12)]
    migrate(database, (), retention="30d")
    kept = [(buckets, timedelta(days=30)) for buckets in (720, 144, 12)]
    assert policies() == kept
    assert migrate(database, (), retention="60d") == [
        f"retention policy on {table}" for table in ("bars_ohlcv", "features", "signals")
    ]
    assert policies() == kept
    with psycopg.connect(database) as owner:  # as an earlier version left them
        owner.execute("""
            SELECT alter_job(job_id, config => config - 'buckets_per_batch')
            FROM timescaledb_information.jobs WHERE proc_name = 'policy_refresh_continuous_aggregate'""")
    migrate(database, ())
    assert policies() == kept


@pytest.mark.parametrize("database", ["TimescaleDB"], indirect=True)
def test_one_of_an_earlier_version_is_made_anew_unless_it_holds_what_was_dropped(database: str) -> None:
    def outdate() -> None:
        with psycopg.connect(database) as owner:
            owner.execute("COMMENT ON VIEW bars_1h IS 'of an earlier version'")

    migrate(database, ())
    days = [{"window_start": START + k * 24 * HOUR, "window_end": START + k * 24 * HOUR + 2 * SECOND} for k in range(2)]
    with closing(TimescaleWriter(database, flow="f", targets=targets(()))) as writer:
        writer.write([batch(bars=[bar() | day for day in days])])
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("CALL refresh_continuous_aggregate('bars_1h', NULL, NULL)")
    outdate()
    assert "continuous aggregate bars_1h" in migrate(database, ())
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("CALL refresh_continuous_aggregate('bars_1h', NULL, NULL)")
        owner.execute(
            "SELECT drop_chunks('bars_ohlcv', older_than => %s)",
            [datetime.fromtimestamp(days[1]["window_start"] // SECOND, UTC)],
        )
    outdate()
    assert migrate(database, ()) == []
    assert select(database, "SELECT count(*) FROM bars_1h") == [(2,)]
