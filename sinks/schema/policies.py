"""Policies of TimescaleDB's Community edition: old rows move to the columnstore, and are dropped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import sql

from sinks.schema.hypertables import MOST_CHUNKS, is_hypertable
from sinks.schema.step import step
from sinks.schema.tables import Managed

# The end of the oldest expired chunks, as many as one transaction may touch.
_OLDEST: Final = """
SELECT max(range_end) FROM (
    SELECT range_end FROM timescaledb_information.chunks WHERE hypertable_schema = current_schema()
        AND hypertable_name = %s AND range_end < now() - %s::interval ORDER BY range_end LIMIT %s
) AS oldest"""


class Policies(NamedTuple):
    """Ages at which rows are compressed and dropped."""

    compress_after: timedelta
    retention: timedelta | None


def drop_old(connection: psycopg.Connection, tables: Sequence[Managed], age: timedelta) -> None:
    """Drops expired chunks, a few at a time: a job cannot drop years of history at once."""
    for table in tables:
        while _drop_oldest(connection, table.name, age):
            pass


def _drop_oldest(connection: psycopg.Connection, table: str, age: timedelta) -> bool:
    """Drops the oldest expired chunks; returns whether there may be more."""
    try:
        with step(connection):
            row = connection.execute(_OLDEST, [table, age, MOST_CHUNKS]).fetchone()
            if row is None or row[0] is None:
                return False
            connection.execute("SELECT drop_chunks(%s::regclass, older_than => %s::timestamptz)", [table, row[0]])
    except psycopg.errors.DeadlockDetected:  # with a job that was about to compress such a chunk
        pass
    return True


def set_policies(
    connection: psycopg.Connection, tables: Sequence[Managed], policies: Policies, done: list[str]
) -> None:
    """Sets the columnstore policy and, if configured, the retention policy."""
    for table in tables:
        _compress(connection, table, policies.compress_after, done)
        _retain(connection, table.name, policies.retention, done)


def _compress(connection: psycopg.Connection, managed: Managed, after: timedelta, done: list[str]) -> None:
    table = managed.name
    if not is_hypertable(connection, table, compressed=True):
        statement = sql.SQL(
            "ALTER TABLE {} SET (timescaledb.enable_columnstore = true,"
            " timescaledb.segmentby = {}, timescaledb.orderby = {})"
        )
        connection.execute(statement.format(sql.Identifier(table), managed.segment_by, managed.order_by))
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
