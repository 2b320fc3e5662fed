"""What a server, a database or a role has set otherwise changes nothing of what is written and read."""

from __future__ import annotations

import uuid
from contextlib import closing
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from sinks import late_repairs
from sinks.connection import SETTINGS, StoreUnavailable, connect, session, transaction
from sinks.merge import targets
from sinks.queries import stored
from sinks.queries.live import LiveReader, Series
from sinks.schema.job_runs import finish_run, start_run
from sinks.schema.migrate import migrate
from sinks.schema.step import SchemaError
from sinks.timescale import TimescaleWriter
from tests.harness import until
from tests.sinks.database_rows import T0, bar, batch, feature, select, signal

RUN = uuid.UUID(int=5)
HOSTILE = {
    "TimeZone": "Asia/Kolkata",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
    "array_nulls": "off",
    "client_min_messages": "debug1",
    "client_encoding": "LATIN1",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "synchronous_commit": "off",
    "lock_timeout": "1ms",
    "statement_timeout": "2s",
    "idle_in_transaction_session_timeout": "2s",
    "idle_session_timeout": "1s",
    "search_path": "another, public",
}


def set_defaults(database: str, **settings: str) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        name = sql.Identifier(owner.info.dbname)
        for setting, value in settings.items():
            change = sql.SQL("ALTER DATABASE {} SET {} = {}")
            # A list of schemas is a list, and no schema of that name.
            parts = value.split(", ") if setting == "search_path" else [value]
            owner.execute(change.format(name, sql.Identifier(setting), sql.SQL(", ").join(map(sql.Literal, parts))))


def test_hostile_defaults_change_nothing_of_what_is_written_and_read(database: str) -> None:
    migrate(database, ["rsi"])
    with psycopg.connect(database) as owner:
        owner.execute("CREATE SCHEMA another")
    set_defaults(database, **HOSTILE)
    assert migrate(database, ["rsi", "vwap"]) == ["feature column vwap"]
    assert select(database, "SELECT count(*) FROM pg_class WHERE relnamespace = 'another'::regnamespace") == [(0,)]

    start_run(database, RUN, "stream", {"symbol": "\\ü"})
    written = batch(
        bars=[bar("ü\\", 1, close=0.1 + 0.2)],
        features=[feature("ü\\", 1, rsi=None, vwap=1 / 3)],
        signals=[signal("ü\\", 1, meta='{"price": 1e-7}')],
        names=("rsi", "vwap"),
    )
    with closing(TimescaleWriter(database, flow="f", targets=targets(("rsi", "vwap")))) as writer:
        assert writer.write([written]).changed == {"bars_ohlcv": 1, "features": 1, "signals": 1}
        assert writer.write([written]).changed == {"bars_ohlcv": 0, "features": 0, "signals": 0}
    finish_run(database, RUN, "finished", {})

    begin = datetime.fromtimestamp(T0 // 10**9 + 2, UTC)
    bars = stored.bars(database, "ü\\", begin)
    assert bars.select("window_start", "close").rows() == [(begin, 0.1 + 0.2)]
    assert stored.latest_features(database).select("rsi", "vwap").rows() == [(None, 1 / 3)]
    assert stored.job_runs(database)["config"].to_list() == ['{"symbol": "\\\\ü"}']
    assert late_repairs.repaired(database, "late").is_empty()
    with closing(LiveReader(database)) as reader:
        series = Series("sim", "ü\\", "2s")
        assert reader.bars([series], 1)[series][0].close == 0.1 + 0.2
        assert reader.recent_signals(1)[0].price == 1e-7


def test_every_transaction_sets_what_it_relies_on(database: str) -> None:
    set_defaults(database, **HOSTILE)
    wanted = SETTINGS | {
        "transaction_isolation": "read committed",
        "client_encoding": "UTF8",
        "synchronous_commit": "on",
        "transaction_timeout": "0",
        "idle_session_timeout": "0",
    }
    query = "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS n (name)"
    with session(database) as connection:
        connection.execute("SET LOCAL lock_timeout = 15000")  # in the words of the server, which prefers a unit
        found = dict(connection.execute(query, [list(wanted)]).fetchall())
    times = {"lock_timeout": "15s", "idle_in_transaction_session_timeout": "1min"}
    assert found == wanted | times


@pytest.mark.parametrize("database", ["PostgreSQL"], indirect=True)  # tables with a columnstore have no such policies
def test_rows_that_a_policy_hides_are_an_error_and_not_missing(database: str) -> None:
    migrate(database, [])
    role = f"reader_{uuid.uuid4().hex}"
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role} NOLOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}".encode())
        owner.execute("ALTER TABLE bars_ohlcv ENABLE ROW LEVEL SECURITY")
        try:
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security policy"):
                stored.bars(make_conninfo(database, options=f"-c role={role}"), "A")
        finally:
            owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


def test_a_session_that_waits_for_its_next_transaction_is_not_ended(database: str) -> None:
    set_defaults(database, idle_session_timeout="500ms")
    query = "SELECT FROM pg_stat_activity WHERE pid = %s AND now() - state_change > INTERVAL '1 s'"
    with closing(connect(database)) as waiting, closing(psycopg.connect(database, autocommit=True)) as observer:
        for _ in range(2):
            with transaction(waiting):
                waiting.execute("SELECT 1")
            observer.execute("SET idle_session_timeout = 0")
            until(lambda: observer.execute(query, [waiting.info.backend_pid]).fetchone() == (), "a long pause", 10)


def test_a_database_that_is_set_read_only_says_so_and_can_be_read(database: str) -> None:
    migrate(database, [])
    set_defaults(database, default_transaction_read_only="on")
    assert stored.totals(database)["bars_ohlcv"] == 0
    with pytest.raises(StoreUnavailable, match="default_transaction_read_only is on") as refused:
        start_run(database, RUN, "stream", {})
    assert "disk is full" in refused.value.remedy


def test_a_search_path_that_leads_nowhere_is_said_in_one_line(database: str) -> None:
    set_defaults(database, search_path="nowhere")
    with pytest.raises(SchemaError, match="search_path contains no schema"):
        migrate(database, [])
