"""What TimescaleDB adds to the schema: hypertables, and in its Community edition continuous aggregates and policies.

Every function looks at what is there and changes only what differs, so tables that began on plain PostgreSQL are
converted when the extension arrives.
"""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import sql

from sinks.connection import StoreUnavailable, first_line, session
from sinks.schema import ROLLUPS, TIME_COLUMN, Rollup, rollup_query

_CHUNK: Final = timedelta(days=1)
_ORDER: Final = {"bars_ohlcv": "window_start", "features": "ts", "signals": "ts, name, adapter"}


class Edition(Enum):
    """What the database offers."""

    PLAIN = "PostgreSQL"
    APACHE = "TimescaleDB, Apache edition"  # hypertables only
    COMMUNITY = "TimescaleDB"


class Policies(NamedTuple):
    """Ages of rows at which something happens to them."""

    compress_after: timedelta
    retention: timedelta | None


def enable_extension(connection: psycopg.Connection, conninfo: str, done: list[str]) -> Edition:
    """Creates the extension if the server has it and the role may; otherwise the tables stay ordinary ones."""
    row = connection.execute(
        "SELECT installed_version FROM pg_available_extensions WHERE name = 'timescaledb'"
    ).fetchone()
    if row is not None and row[0] is None:
        _create_extension(conninfo, done)
    return edition_of(connection)


def _create_extension(conninfo: str, done: list[str]) -> None:
    # On a connection of its own: a server that does not preload the library ends the session.
    try:
        with session(conninfo, statement_timeout_ms=0) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        done.append("extension timescaledb")
    except (psycopg.Error, StoreUnavailable) as error:
        done.append(f"no TimescaleDB, ordinary tables instead: {first_line(error)}")


def edition_of(connection: psycopg.Connection) -> Edition:
    """Which one the database has."""
    if connection.execute("SELECT FROM pg_extension WHERE extname = 'timescaledb'").fetchone() is None:
        return Edition.PLAIN
    row = connection.execute("SELECT current_setting('timescaledb.license', true)").fetchone()
    return Edition.COMMUNITY if row == ("timescale",) else Edition.APACHE


def create(connection: psycopg.Connection, done: list[str]) -> None:
    """Turns tables into hypertables of one chunk a day. Keys hold the time column, so no further index is needed."""
    for table, column in TIME_COLUMN.items():
        if not _is_hypertable(connection, table):
            connection.execute(
                "SELECT create_hypertable(%s::regclass, by_range(%s::name, %s::interval),"
                " create_default_indexes => false, migrate_data => true)",
                [table, column, _CHUNK],
            )
            done.append(f"hypertable {table}")


def _is_hypertable(connection: psycopg.Connection, table: str, *, compressed: bool = False) -> bool:
    row = connection.execute(
        "SELECT FROM timescaledb_information.hypertables WHERE hypertable_schema = current_schema()"
        " AND hypertable_name = %s AND (compression_enabled OR NOT %s::boolean)",
        [table, compressed],
    ).fetchone()
    return row is not None


def create_rollups(connection: psycopg.Connection, policies: Policies, done: list[str]) -> None:
    """Continuous aggregates that also see bars that are not materialized yet, in place of views."""
    for rollup in ROLLUPS:
        if not _is_continuous_aggregate(connection, rollup.view):
            _create_rollup(connection, rollup)
            done.append(f"continuous aggregate {rollup.view}")
        if not _is_refreshed(connection, rollup.view, policies.retention):
            _set_refresh(connection, rollup, policies.retention)
            done.append(f"refresh policy on {rollup.view}")


def _is_continuous_aggregate(connection: psycopg.Connection, view: str) -> bool:
    row = connection.execute(
        "SELECT FROM timescaledb_information.continuous_aggregates"
        " WHERE view_schema = current_schema() AND view_name = %s",
        [view],
    ).fetchone()
    return row is not None


def _create_rollup(connection: psycopg.Connection, rollup: Rollup) -> None:
    view = sql.Identifier(rollup.view)
    query = sql.SQL(rollup_query(rollup.bucket, timescale=True))
    options = sql.SQL("timescaledb.continuous, timescaledb.materialized_only = false")
    connection.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(view))
    statement = sql.SQL("CREATE MATERIALIZED VIEW {} WITH ({}) AS {} WITH NO DATA")
    connection.execute(statement.format(view, options, query))


def _is_refreshed(connection: psycopg.Connection, view: str, reach: timedelta | None) -> bool:
    """Whether a refresh policy reaches back no further than the bars do: refreshing what was dropped empties it.

    So a policy that reaches less far, from a time of shorter retention, is left alone.
    """
    row = connection.execute(
        "SELECT coalesce((config->>'start_offset')::interval, always) <= coalesce(%s::interval, always)"
        " FROM timescaledb_information.jobs, CAST('100000 years' AS interval) AS always"
        " WHERE hypertable_schema = current_schema() AND hypertable_name = %s"
        " AND proc_name = 'policy_refresh_continuous_aggregate'",
        [reach, view],
    ).fetchone()
    return row == (True,)


def _set_refresh(connection: psycopg.Connection, rollup: Rollup, reach: timedelta | None) -> None:
    connection.execute("SELECT remove_continuous_aggregate_policy(%s::regclass, if_exists => true)", [rollup.view])
    connection.execute(
        "SELECT add_continuous_aggregate_policy(%s::regclass, start_offset => %s::interval,"
        " end_offset => %s::interval, schedule_interval => %s::interval)",
        [rollup.view, reach, rollup.end_offset, rollup.schedule],
    )


def set_policies(connection: psycopg.Connection, policies: Policies, done: list[str]) -> None:
    """The columnstore beyond the age a replay rewrites, and retention if it is configured."""
    for table in TIME_COLUMN:
        _compress(connection, table, policies.compress_after, done)
        _retain(connection, table, policies.retention, done)


def _compress(connection: psycopg.Connection, table: str, after: timedelta, done: list[str]) -> None:
    if not _is_hypertable(connection, table, compressed=True):
        statement = sql.SQL(
            "ALTER TABLE {} SET (timescaledb.enable_columnstore = true,"
            " timescaledb.segmentby = 'provider, symbol, \"interval\"', timescaledb.orderby = {})"
        )
        connection.execute(statement.format(sql.Identifier(table), _ORDER[table]))
    if not _has_policy(connection, table, "policy_compression", {"compress_after": after}):
        connection.execute("CALL remove_columnstore_policy(%s::regclass, if_exists => true)", [table])
        connection.execute("CALL add_columnstore_policy(%s::regclass, after => %s::interval)", [table, after])
        done.append(f"columnstore policy on {table}")


def _retain(connection: psycopg.Connection, table: str, age: timedelta | None, done: list[str]) -> None:
    if age is None and _has_policy(connection, table, "policy_retention", {}):
        connection.execute("SELECT remove_retention_policy(%s::regclass)", [table])
        done.append(f"no retention policy on {table} any more")
    if age is not None and not _has_policy(connection, table, "policy_retention", {"drop_after": age}):
        connection.execute("SELECT remove_retention_policy(%s::regclass, if_exists => true)", [table])
        connection.execute("SELECT add_retention_policy(%s::regclass, drop_after => %s::interval)", [table, age])
        done.append(f"retention policy on {table}")


def _has_policy(connection: psycopg.Connection, relation: str, procedure: str, wanted: dict[str, Any]) -> bool:
    """Whether a job of this kind runs on `relation` with these intervals in its config."""
    rows = connection.execute(
        "SELECT config FROM timescaledb_information.jobs"
        " WHERE hypertable_schema = current_schema() AND hypertable_name = %s AND proc_name = %s",
        [relation, procedure],
    ).fetchall()
    return any(all(_same(connection, config.get(k), v) for k, v in wanted.items()) for (config,) in rows)


def _same(connection: psycopg.Connection, stored: str | None, wanted: Any) -> bool:
    row = connection.execute("SELECT %s::interval IS NOT DISTINCT FROM %s::interval", [stored, wanted]).fetchone()
    return row == (True,)
