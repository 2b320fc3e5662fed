from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from contracts.condition_words import CONDITION_WORDS
from features.rolling.feature_config import RESERVED
from sinks.connection import StoreLimit, StoreUnavailable
from sinks.merge import targets
from sinks.queries import stored
from sinks.schema.migrate import migrate
from sinks.schema.step import SchemaError
from sinks.timescale import TimescaleWriter
from tests.sinks.conftest import needs_timescale
from tests.sinks.database_rows import T0, bar, batch, feature, select

MINUTE = 60_000_000_000


def feature_columns(database: str) -> set[str]:
    rows = select(
        database,
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_name = 'features' AND data_type = 'double precision'",
    )
    return {name for (name,) in rows}


def test_an_empty_database_gets_tables_and_views_and_a_second_run_does_nothing(database: str) -> None:
    assert "schema version 1: bars, features and signals" in migrate(database, ["rsi"])
    assert migrate(database, ["rsi"]) == []
    relations = {name for (name,) in select(database, "SELECT relname FROM pg_class WHERE relkind IN ('r', 'v')")}
    assert relations >= {"bars_ohlcv", "features", "signals", "job_runs", "progress", "schema_version"}
    assert relations >= {"bars_1m", "bars_5m", "bars_1h"}
    assert select(database, "SELECT version FROM schema_version ORDER BY version") == [(n,) for n in range(1, 9)]


def test_every_word_of_sql_that_may_be_a_feature_is_a_column_that_is_written_and_read(database: str) -> None:
    words = (Path(__file__).parents[1] / "data" / "sql_words.txt").read_text(encoding="utf-8").split()
    names = tuple(word for word in words if word not in RESERVED | CONDITION_WORDS)
    migrate(database, names)
    halves = [dict.fromkeys(names[::2], 1.0), dict.fromkeys(names[1::2], 2.0)]  # a row of all is more than a page
    writer = TimescaleWriter(database, flow="f", targets=targets(names))
    writer.write([batch(features=[feature("A", k, **half) for k, half in enumerate(halves)], names=names)])
    writer.close()
    found = stored.features(database, "A").select(names).rows(named=True)
    assert found == [dict.fromkeys(names) | half for half in halves]


def test_processes_that_migrate_at_once_do_the_work_once(database: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = [line for lines in pool.map(lambda _: migrate(database, ["rsi", "vwap"]), range(4)) for line in lines]
    assert len(done) == len(set(done))
    assert feature_columns(database) == {"rsi", "vwap"}


def test_a_new_feature_gets_a_column_and_a_removed_one_keeps_its_own(database: str) -> None:
    migrate(database, ["rsi"])
    assert migrate(database, ["vwap"]) == ["feature column vwap"]
    assert feature_columns(database) == {"rsi", "vwap"}


def test_feature_names_are_quoted(database: str) -> None:
    hostile = 'x" double precision; DROP TABLE bars_ohlcv; --'
    migrate(database, [hostile, "Select", "ünï"])
    assert feature_columns(database) == {hostile, "Select", "ünï"}
    assert select(database, "SELECT count(*) FROM bars_ohlcv") == [(0,)]


@pytest.mark.parametrize("name", ["symbol", "source_offset", "xmin", "x" * 64])
def test_a_feature_that_cannot_be_a_column_is_named(database: str, name: str) -> None:
    with pytest.raises(SchemaError, match=f"cannot be named '{name}'"):
        migrate(database, [name])


def test_a_database_of_a_newer_program_is_left_alone(database: str) -> None:
    migrate(database, [])
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO schema_version (version, name) VALUES (99, 'from the future')")
    with pytest.raises(SchemaError, match="schema version 99, this program knows 8"):
        migrate(database, ["rsi"])
    assert feature_columns(database) == set()


def test_a_failed_migration_leaves_nothing_behind(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE signals (mine integer)")
    with pytest.raises(psycopg.errors.DuplicateTable):
        migrate(database, [])
    assert select(database, "SELECT to_regclass('bars_ohlcv'), to_regclass('schema_version')") == [(None, None)]


@contextmanager
def owner_of_a_schema(database: str, login: str) -> Iterator[str]:
    """The conninfo of one who works as a role that owns a schema, and is no superuser."""
    role = f"plain_{psycopg.conninfo.conninfo_to_dict(database)['dbname']}"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} {login}".encode())
        connection.execute(f"CREATE SCHEMA own AUTHORIZATION {role}".encode())
    try:
        yield make_conninfo(database, options=f"-c role={role} -c search_path=own")
    finally:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


def test_the_owner_of_a_schema_need_be_no_superuser(database: str) -> None:
    with owner_of_a_schema(database, "LOGIN") as conninfo:
        migrate(conninfo, ["rsi"])
        assert select(database, "SELECT schemaname FROM pg_tables WHERE tablename = 'features'") == [("own",)]


@needs_timescale
@pytest.mark.parametrize("database", ["TimescaleDB"], indirect=True)
def test_an_owner_that_timescaledb_cannot_run_its_jobs_as_is_no_outage(database: str) -> None:
    with owner_of_a_schema(database, "NOLOGIN") as conninfo, pytest.raises(StoreLimit, match="background") as refused:
        migrate(conninfo, ["rsi"])
    assert "LOGIN" in refused.value.line


def test_an_unreachable_database_is_said_in_one_line() -> None:
    with pytest.raises(StoreUnavailable) as caught:
        migrate("postgresql://nobody:hunter2@127.0.0.1:1/nowhere", [])
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def write_bars(database: str, *rows: dict[str, object]) -> None:
    migrate(database, [])
    writer = TimescaleWriter(database, flow="f", targets=targets(()))
    writer.write([batch(bars=list(rows))])
    writer.close()


def test_a_rollup_takes_first_open_last_close_and_the_vwap_of_the_volume(database: str) -> None:
    start = T0 // (60 * MINUTE) * (60 * MINUTE)

    def at(k: int, **values: float | None) -> dict[str, Any]:
        return bar(window_start=start + k * 2_000_000_000, window_end=start + (k + 1) * 2_000_000_000) | values

    write_bars(
        database,
        at(1, open=2.0, high=9.0, low=2.0, close=3.0, volume=3.0, vwap=2.0, trades=2),
        at(0, open=1.0, high=4.0, low=-1.0, close=2.0, volume=1.0, vwap=6.0, trades=1),
        at(29, open=5.0, high=6.0, low=5.0, close=5.5, volume=0.0, vwap=None, trades=4),
        at(30, open=7.0, high=7.0, low=7.0, close=7.0, volume=0.0, vwap=None, trades=1),
    )
    columns = "bucket, open, high, low, close, volume, vwap, trades"
    first, second = (datetime.fromtimestamp((start + k * MINUTE) // 10**9, UTC) for k in (0, 1))
    assert select(database, f"SELECT {columns} FROM bars_1m ORDER BY bucket") == [
        (first, 1.0, 9.0, -1.0, 5.5, 4.0, 3.0, 7),
        (second, 7.0, 7.0, 7.0, 7.0, 0.0, None, 1),
    ]
    assert select(database, f"SELECT {columns} FROM bars_1h") == [(first, 1.0, 9.0, -1.0, 7.0, 4.0, 3.0, 8)]


def test_a_rollup_keeps_base_intervals_apart_and_leaves_out_those_that_do_not_divide_it(database: str) -> None:
    start = T0 // (60 * MINUTE) * (60 * MINUTE)
    lengths = {"500ms": MINUTE // 120, "7s": 7 * MINUTE // 60, "1m": MINUTE, "5m": 5 * MINUTE, "2h": 120 * MINUTE}
    write_bars(
        database,
        *(bar(interval=name, window_start=start, window_end=start + length) for name, length in lengths.items()),
    )
    found = {
        view: {name for (name,) in select(database, f'SELECT "interval" FROM {view}')}
        for view in ("bars_1m", "bars_5m", "bars_1h")
    }
    assert found == {"bars_1m": {"500ms", "1m"}, "bars_5m": {"500ms", "1m", "5m"}, "bars_1h": {"500ms", "1m", "5m"}}
