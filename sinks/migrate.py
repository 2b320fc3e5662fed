"""Brings a database to the schema this program needs. Safe to run again, and by several processes at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import sql

from contracts.errors import MdpError
from contracts.frames import FEATURE_KEY
from sinks import hypertables
from sinks.connection import connect, passing_errors, session, settle_schema, transaction
from sinks.hypertables import Edition, Policies
from sinks.merge import CAUSE
from sinks.schema import MIGRATIONS, ROLLUPS, TIME_COLUMN, rollup_query
from sinks.store_config import as_timedelta

_LOCK: Final = 7_164_206_113  # any number, the same in all versions of this program
_SYSTEM_COLUMNS: Final = ("tableoid", "ctid", "xmin", "xmax", "cmin", "cmax")
_TAKEN: Final = frozenset((*FEATURE_KEY, *CAUSE, *_SYSTEM_COLUMNS))
_LONGEST_NAME: Final = 63  # bytes; PostgreSQL cuts longer names off


class SchemaError(MdpError):
    """The database and this program do not fit together; the message says what to do."""


def migrate(
    conninfo: str, features: Sequence[str], *, retention: str | None = None, compress_after: str = "7d"
) -> list[str]:
    """Creates or upgrades tables, feature columns, rollups and, on TimescaleDB, hypertables and policies.

    Args:
        conninfo: libpq URL or connection string. The role must own the tables; it need be no superuser.
        features: names of the configured features; columns are added for new ones and never dropped.
        retention: age at which TimescaleDB drops rows; None keeps all and takes a retention policy away.
        compress_after: age at which TimescaleDB moves rows to its columnstore.

    Returns:
        What was done, one line each; empty when everything was in place.

    Raises:
        SchemaError: a feature's name cannot be a column, or the database belongs to a newer version.
        StoreUnavailable: the database cannot be reached.
    """
    _check_names(features)
    policies = Policies(as_timedelta(compress_after), as_timedelta(retention) if retention else None)
    done: list[str] = []
    with _alone(conninfo), passing_errors(), connect(conninfo) as connection:
        with _step(connection):
            edition = hypertables.enable_extension(connection, conninfo, done)
        with _step(connection):
            _apply_versions(connection, done)
            _add_feature_columns(connection, features, done)
            _arrange(connection, edition, policies, done)
    return done


def _check_names(features: Sequence[str]) -> None:
    for name in features:
        if name in _TAKEN or len(name.encode()) > _LONGEST_NAME:
            raise SchemaError(
                f"a feature cannot be named {name!r}: choose another name of at most {_LONGEST_NAME} bytes"
            )


@contextmanager
def _alone(conninfo: str) -> Iterator[None]:
    """Waits for another migration, however long. In a transaction of its own, which is idle while others migrate."""
    with session(conninfo, statement_timeout_ms=0) as connection:
        connection.execute("SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        yield


@contextmanager
def _step(connection: psycopg.Connection) -> Iterator[None]:
    """A transaction in the schema of the tables, and without a timeout: existing rows are moved as long as it takes."""
    with transaction(connection, statement_timeout_ms=0):
        if settle_schema(connection) is None:
            raise SchemaError("search_path leads to no schema that this role may use: set it, or grant one")
        yield


def _apply_versions(connection: psycopg.Connection, done: list[str]) -> None:
    connection.execute("""
        CREATE TABLE IF NOT EXISTS schema_version (
            version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())""")
    row = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()
    current: int = row[0] if row else 0
    if current > MIGRATIONS[-1].version:
        raise SchemaError(
            f"the database is at schema version {current}, this program knows {MIGRATIONS[-1].version}: upgrade mdp"
        )
    for migration in MIGRATIONS[current:]:
        connection.execute(migration.sql)
        connection.execute(
            "INSERT INTO schema_version (version, name) VALUES (%s, %s)", [migration.version, migration.name]
        )
        done.append(f"schema version {migration.version}: {migration.name}")


def _add_feature_columns(connection: psycopg.Connection, features: Sequence[str], done: list[str]) -> None:
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'features'::regclass AND NOT attisdropped"
    ).fetchall()
    present = {name for (name,) in rows}
    for name in features:
        if name not in present:
            statement = sql.SQL("ALTER TABLE features ADD COLUMN {} double precision")
            connection.execute(statement.format(sql.Identifier(name)))
            done.append(f"feature column {name}")


def _arrange(connection: psycopg.Connection, edition: Edition, policies: Policies, done: list[str]) -> None:
    if edition is Edition.PLAIN:
        _add_time_indexes(connection, done)
    else:
        hypertables.create(connection, done)
    if edition is Edition.COMMUNITY:
        hypertables.create_rollups(connection, policies, done)
        hypertables.set_policies(connection, policies, done)
    else:
        _create_views(connection, done)


def _add_time_indexes(connection: psycopg.Connection, done: list[str]) -> None:
    """Rows arrive almost in time order, so a block range index finds a span of time at next to no cost."""
    for table, column in TIME_COLUMN.items():
        index = f"{table}_{column}_brin"
        if not _exists(connection, index):
            statement = sql.SQL("CREATE INDEX {} ON {} USING brin ({})")
            connection.execute(statement.format(*map(sql.Identifier, (index, table, column))))
            done.append(f"index {index}")


def _create_views(connection: psycopg.Connection, done: list[str]) -> None:
    for rollup in ROLLUPS:
        if not _exists(connection, rollup.view):
            query = sql.SQL(rollup_query(rollup.bucket, timescale=False))
            connection.execute(sql.SQL("CREATE VIEW {} AS {}").format(sql.Identifier(rollup.view), query))
            done.append(f"view {rollup.view}")


def _exists(connection: psycopg.Connection, relation: str) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [relation]).fetchone()
    return row is not None and bool(row[0])
