"""Bars of longer intervals: views, or continuous aggregates in TimescaleDB's Community edition."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from zlib import crc32

import psycopg
from psycopg import sql

from sinks.connection import connect, passing_errors
from sinks.schema.hypertables import Edition, edition_of, extension_schema
from sinks.schema.step import step
from sinks.schema.tables import ROLLUPS, Rollup, rollup_query

# Buckets that would be lost, as their bars have been dropped. Found by chunks: the bars are in thousands of them.
_OLDER: Final = "SELECT FROM {view} WHERE bucket < coalesce(%s::timestamptz, 'infinity') - {width} LIMIT 1"
_OLDEST: Final = """
SELECT min(range_start) FROM timescaledb_information.chunks
WHERE hypertable_schema = current_schema() AND hypertable_name = 'bars_ohlcv'"""

# A refresh takes one transaction per batch of this length, some 15 ms each even without bars; the default is batches of
# 10 buckets. The bars of a batch are sorted, so it must not be too long either.
_BATCH: Final = "12 hours"

# How far back to refresh, null for all: no further than bars have ever been kept, as refreshing dropped ranges empties
# them. The number of buckets in a batch. And whether the existing policy has these settings.
_POLICY: Final = """
SELECT reach, buckets, buckets = found_buckets AND reach IS NOT DISTINCT FROM found_reach
FROM (
    SELECT min((config->>'start_offset')::interval), max((config->>'buckets_per_batch')::integer)
    FROM timescaledb_information.jobs WHERE hypertable_schema = current_schema() AND hypertable_name = %(view)s
        AND proc_name = 'policy_refresh_continuous_aggregate'
) AS found (found_reach, found_buckets), LATERAL (
    SELECT least(%(retention)s::interval, found_reach),
        (extract(epoch FROM %(batch)s::interval) / extract(epoch FROM %(bucket)s::interval))::integer
) AS wanted (reach, buckets)"""


def create_views(connection: psycopg.Connection, done: list[str]) -> None:
    """Creates plain views, computed on each query."""
    for rollup in ROLLUPS:
        if not _is_current(connection, rollup, timescale=False):
            query = sql.SQL(rollup_query(rollup.bucket, timescale=False))
            view = sql.Identifier(rollup.view)
            connection.execute(sql.SQL("CREATE OR REPLACE VIEW {} AS {}").format(view, query))
            _sign(connection, rollup, timescale=False)
            done.append(f"view {rollup.view}")


def create_aggregates(connection: psycopg.Connection, retention: timedelta | None, done: list[str]) -> None:
    """Creates real-time continuous aggregates, which include bars not materialized yet, in place of views.

    An aggregate with an earlier version's definition is recreated, unless its bars have been dropped.
    """
    for rollup in ROLLUPS:
        if not _is_current(connection, rollup, timescale=True) and _drop(connection, rollup):
            _create_aggregate(connection, rollup)
            _sign(connection, rollup, timescale=True)
            done.append(f"continuous aggregate {rollup.view}")
        if _set_refresh(connection, rollup, retention):
            done.append(f"refresh policy on {rollup.view}")


def refresh(conninfo: str, start: datetime, end: datetime) -> None:
    """Refreshes rollups for bars with start ≤ window_start < end, which have changed long after their windows.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    with passing_errors(), connect(conninfo) as connection:
        with step(connection) as schema:
            if edition_of(connection) is not Edition.COMMUNITY:
                return
            views = [rollup for rollup in ROLLUPS if _is_aggregate(connection, rollup.view)]
            procedure = sql.SQL(extension_schema(connection) + ".refresh_continuous_aggregate")
        for rollup in views:  # each refresh runs several transactions
            statement = sql.SQL("CALL {}({}, {}::timestamptz - {width}, {}::timestamptz + {width})")
            view = sql.Identifier(schema, rollup.view).as_string()
            connection.execute(statement.format(procedure, view, start, end, width=_width(rollup)))


def _width(rollup: Rollup) -> sql.Composed:
    return sql.SQL("INTERVAL {}").format(sql.Literal(rollup.bucket))


def _signature(rollup: Rollup, *, timescale: bool) -> str:
    return f"rollup {crc32(rollup_query(rollup.bucket, timescale=timescale).encode()):08x}"


def _is_current(connection: psycopg.Connection, rollup: Rollup, *, timescale: bool) -> bool:
    row = connection.execute("SELECT obj_description(to_regclass(%s), 'pg_class')", [rollup.view]).fetchone()
    return row == (_signature(rollup, timescale=timescale),)


def _sign(connection: psycopg.Connection, rollup: Rollup, *, timescale: bool) -> None:
    statement = sql.SQL("COMMENT ON VIEW {} IS {}")
    connection.execute(statement.format(sql.Identifier(rollup.view), _signature(rollup, timescale=timescale)))


def _is_aggregate(connection: psycopg.Connection, view: str) -> bool:
    row = connection.execute(
        "SELECT FROM timescaledb_information.continuous_aggregates"
        " WHERE view_schema = current_schema() AND view_name = %s",
        [view],
    ).fetchone()
    return row is not None


def _drop(connection: psycopg.Connection, rollup: Rollup) -> bool:
    """Drops a rollup unless that would lose data; returns whether its name is free now."""
    view = sql.Identifier(rollup.view)
    if not _is_aggregate(connection, rollup.view):
        connection.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(view))
        return True
    oldest = connection.execute(_OLDEST).fetchone()
    if connection.execute(sql.SQL(_OLDER).format(view=view, width=_width(rollup)), oldest).fetchone() is not None:
        return False
    connection.execute(sql.SQL("DROP MATERIALIZED VIEW {}").format(view))
    return True


def _create_aggregate(connection: psycopg.Connection, rollup: Rollup) -> None:
    query = sql.SQL(rollup_query(rollup.bucket, timescale=True))
    options = sql.SQL("timescaledb.continuous, timescaledb.materialized_only = false")
    statement = sql.SQL("CREATE MATERIALIZED VIEW {} WITH ({}) AS {} WITH NO DATA")
    connection.execute(statement.format(sql.Identifier(rollup.view), options, query))


def _set_refresh(connection: psycopg.Connection, rollup: Rollup, retention: timedelta | None) -> bool:
    """Sets the refresh policy; returns whether it changed. A policy made under shorter retention keeps its range."""
    parameters = {"view": rollup.view, "bucket": rollup.bucket, "retention": retention, "batch": _BATCH}
    ((reach, buckets, is_set),) = connection.execute(_POLICY, parameters).fetchall()
    if is_set:
        return False
    connection.execute("SELECT remove_continuous_aggregate_policy(%s::regclass, if_exists => true)", [rollup.view])
    connection.execute(
        "SELECT add_continuous_aggregate_policy(%s::regclass, start_offset => %s::interval,"
        " end_offset => %s::interval, schedule_interval => %s::interval, buckets_per_batch => %s)",
        [rollup.view, reach, rollup.end_offset, rollup.schedule, buckets],
    )
    return True
