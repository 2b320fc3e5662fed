"""Long histories on TimescaleDB, where every chunk costs several of the server's locks."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import psycopg
import pytest

from sinks.connection import StoreLimit
from sinks.merge import targets
from sinks.queries import stored
from sinks.queries.diagnosis import failed_jobs
from sinks.queries.live import Bar, LiveReader, Series
from sinks.schema.hypertables import ChunkLength
from sinks.schema.migrate import migrate
from sinks.timescale import TimescaleWriter
from tests.sinks.conftest import needs_timescale
from tests.sinks.database_rows import SECOND, T0, bar, batch, feature, select, signal

DAY = 86_400 * SECOND
DAYS = 40  # as many chunks of each table as three transactions write to


def scattered(first: int = 0, **changes: object) -> list[dict[str, object]]:
    """A bar on each of many days."""
    return [
        bar("A", k, window_start=T0 + k * DAY, window_end=T0 + k * DAY + 2 * SECOND, **changes)
        for k in range(first, first + DAYS)
    ]


def chunks(database: str, table: str = "bars_ohlcv") -> int:
    return len(select(database, f"SELECT show_chunks('{table}')"))


def test_a_flush_over_many_days_is_written_whole_whoever_cuts_it(database: str) -> None:
    migrate(database, ("rsi",))
    days = [T0 + k * DAY for k in range(DAYS)]
    flush = batch(
        bars=scattered(),
        features=[feature("A", k, rsi=1.0) | {"ts": at} for k, at in enumerate(days)],
        signals=[signal("A", k, ts=at) for k, at in enumerate(days)],
        names=("rsi",),
        next_offset=DAYS,
    )
    with closing(TimescaleWriter(database, flow="f", targets=targets(("rsi",)))) as writer:
        for changed in (DAYS, 0):
            assert writer.write([flush]).changed == dict.fromkeys(("bars_ohlcv", "features", "signals"), changed)
        bad = bar("A", window_start=T0 + 20 * DAY + SECOND, window_end=T0)
        result = writer.write([batch(bars=[*scattered(DAYS), bad], next_offset=2 * DAYS)])
    assert (result.changed["bars_ohlcv"], len(result.refused)) == (DAYS, 1)
    assert stored.bars(database, "A")["source_offset"].to_list() == list(range(2 * DAYS))
    assert select(database, "SELECT next_offset FROM progress") == [(2 * DAYS,)]


@needs_timescale
@pytest.mark.parametrize("database", ["TimescaleDB"], indirect=True)
def test_the_newest_rows_are_read_without_a_look_at_all_chunks(database: str) -> None:
    migrate(database, ())
    a, b, none = (Series("sim", symbol, "2s") for symbol in ("A", "B", "none"))
    with closing(TimescaleWriter(database, flow="f", targets=targets(()))) as writer:
        writer.write([batch(bars=[*scattered(), bar("B")], signals=[signal("A"), signal("A", ts=T0 + DAYS * DAY)])])

    def times(found: dict[Series, list[Bar]]) -> dict[Series, list[int]]:
        return {series: [bar.time for bar in bars] for series, bars in found.items()}

    first, last = T0 // 10**6, (T0 + (DAYS - 1) * DAY) // 10**6
    with closing(LiveReader(database)) as reader:
        assert times(reader.bars([b, a, none], DAYS)) == {
            a: list(range(first, last + 1, DAY // 10**6)),
            b: [first],
            none: [],
        }
        assert times(reader.bars([a, b], 2, before=first + 1)) == {a: [first], b: [first]}
        assert len(reader.recent_signals(2)) == 2
        (oldest,), *_ = select(
            database,
            "SELECT format('%I.%I', chunk_schema, chunk_name) FROM timescaledb_information.chunks"
            " WHERE hypertable_name = 'bars_ohlcv' ORDER BY range_start",
        )
        with psycopg.connect(database) as owner:  # who looks at this chunk waits, and fails
            owner.execute(f"LOCK TABLE {oldest} IN ACCESS EXCLUSIVE MODE".encode())
            assert times(reader.bars([a, none], 1)) == {a: [last], none: []}
            assert stored.bars(database, "A", limit=2)["source_offset"].to_list() == [DAYS - 2, DAYS - 1]


@needs_timescale
@pytest.mark.parametrize("database", ["TimescaleDB"], indirect=True)
def test_tables_that_began_without_timescaledb_are_converted_with_their_rows(database: str) -> None:
    migrate(database, (), chunk=ChunkLength(timedelta(days=1), is_chosen=False))
    with closing(TimescaleWriter(database, flow="f", targets=targets(()))) as writer:
        writer.write([batch(bars=scattered(), signals=[signal()])])
    with psycopg.connect(database, autocommit=True) as owner:
        for view in ("bars_1m", "bars_5m", "bars_1h"):
            owner.execute(f"DROP MATERIALIZED VIEW {view}".encode())
        for table in ("bars_ohlcv", "signals"):
            owner.execute(f"CREATE TABLE plain (LIKE {table} INCLUDING ALL); INSERT INTO plain TABLE {table}".encode())
            owner.execute(f"DROP TABLE {table}; ALTER TABLE plain RENAME TO {table}".encode())
        owner.execute("GRANT SELECT ON bars_ohlcv TO public")
        owner.execute(b"CREATE TABLE signals_aside AS TABLE signals; TRUNCATE signals")  # interrupted
    done = migrate(database, ())
    assert {"hypertable bars_ohlcv", "hypertable signals"} <= set(done)
    assert stored.bars(database, "A").height == DAYS == chunks(database)
    assert stored.totals(database)["signals"] == 1
    assert select(database, "SELECT count(*) FROM pg_class WHERE relname LIKE '%aside'") == [(0,)]
    assert select(database, "SELECT has_table_privilege('pg_monitor', 'bars_ohlcv', 'SELECT')") == [(True,)]
    assert migrate(database, ()) == []


@needs_timescale
@pytest.mark.parametrize("database", ["TimescaleDB"], indirect=True)
def test_retention_that_comes_late_drops_years_at_once(database: str) -> None:
    migrate(database, ())
    with closing(TimescaleWriter(database, flow="f", targets=targets(()))) as writer:
        writer.write([batch(bars=scattered())])
    assert chunks(database) == DAYS
    migrate(database, (), retention="30d")
    assert chunks(database) == 0
    with psycopg.connect(database) as connection:
        assert failed_jobs(connection) == []


@needs_timescale
@pytest.mark.parametrize("database", ["TimescaleDB"], indirect=True)
def test_chunks_become_shorter_for_shorter_bars_and_longer_where_that_is_asked(database: str) -> None:
    def length() -> timedelta:
        query = "SELECT time_interval FROM timescaledb_information.dimensions WHERE hypertable_name = 'features'"
        found: timedelta = select(database, query)[0][0]
        return found

    migrate(database, (), chunk=ChunkLength(timedelta(days=30), is_chosen=False))
    assert length() == timedelta(days=30)
    migrate(database, (), chunk=ChunkLength(timedelta(days=1), is_chosen=False))
    assert length() == timedelta(days=1)
    assert migrate(database, (), chunk=ChunkLength(timedelta(days=7), is_chosen=False)) == []
    assert length() == timedelta(days=1)
    migrate(database, (), chunk=ChunkLength(timedelta(days=7), is_chosen=True))
    assert length() == timedelta(days=7)


@pytest.mark.parametrize("database", ["PostgreSQL"], indirect=True)  # whose locks nobody else takes or gives back
def test_a_table_of_locks_that_is_full_is_no_outage(database: str) -> None:
    migrate(database, ())
    writer = TimescaleWriter(database, flow="f", targets=targets(()))
    with closing(writer), psycopg.connect(database) as greedy:
        greedy.execute("SELECT 1")  # begins the transaction that keeps what it takes
        take, taken = "SELECT count(pg_advisory_xact_lock(n)) FROM generate_series(%s::bigint, %s) AS n", 0
        for many in (1_000, 1):
            while True:
                try:
                    with greedy.transaction():
                        greedy.execute(take, [taken, taken + many - 1])
                except psycopg.errors.OutOfMemory:
                    break
                taken += many
        with pytest.raises(StoreLimit, match="out of shared memory") as full:
            writer.write([batch(bars=[bar()])])
        assert "max_locks_per_transaction" in full.value.line
        greedy.rollback()
        assert writer.write([batch(bars=[bar()])]).changed == {"bars_ohlcv": 1}
