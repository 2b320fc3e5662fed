"""Migrates a database to the schema that this program needs. Idempotent, and safe in several processes at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import sql

from contracts.frames import FEATURE_KEY
from contracts.message import MessageType
from sinks.connection import connect, passing_errors, session
from sinks.merge import CAUSE
from sinks.missing_tables import RESTORE
from sinks.schema import hypertables, message_tables, rollups
from sinks.schema.hypertables import A_DAY, ChunkLength, Edition
from sinks.schema.policies import Policies, drop_old, set_policies
from sinks.schema.step import SchemaError, step
from sinks.schema.tables import MIGRATIONS, RESULTS, TABLES, Managed
from sinks.store_config import as_timedelta

_LOCK: Final = 7_164_206_113  # any number, the same in all versions of this program
_SYSTEM_COLUMNS: Final = ("tableoid", "ctid", "xmin", "xmax", "cmin", "cmax")
_TAKEN: Final = frozenset((*FEATURE_KEY, *CAUSE, *_SYSTEM_COLUMNS))
_LONGEST_NAME: Final = 63  # bytes; PostgreSQL truncates longer names


def migrate(
    conninfo: str,
    features: Sequence[str],
    *,
    retention: str | None = None,
    compress_after: str = "7d",
    chunk: ChunkLength = A_DAY,
    plain: bool = False,
    kinds: Sequence[MessageType] = (),
) -> list[str]:
    """Creates or upgrades tables, feature columns, rollups and, on TimescaleDB, hypertables and policies.

    Args:
        conninfo: libpq URL or connection string. The role must own the tables; it need not be a superuser.
        features: names of the configured features; columns are added for new ones and never dropped.
        retention: age at which TimescaleDB drops rows; None keeps all and removes a retention policy.
        compress_after: age at which TimescaleDB moves rows to its columnstore.
        chunk: the time range of TimescaleDB's chunks.
        plain: ordinary tables, whatever the database has: for those of a run, which must not grow old by themselves.
        kinds: the types of messages that get tables, too.

    Returns:
        What was done, one line each; empty if nothing had to be done.

    Raises:
        SchemaError: a feature's name cannot be a column, the database belongs to a newer version, or a table was
            dropped.
        StoreUnavailable: the database cannot be reached.
    """
    _check_names(features)
    policies = Policies(as_timedelta(compress_after), as_timedelta(retention) if retention else None)
    done: list[str] = []
    with _alone(conninfo), passing_errors(), connect(conninfo) as connection:
        with step(connection):
            edition = Edition.PLAIN if plain else hypertables.enable_extension(connection, conninfo, done)
        with step(connection):
            _apply_versions(connection, done)
            _add_feature_columns(connection, features, done)
            message_tables.create(connection, kinds, done)
        tables = (*RESULTS, *map(message_tables.managed, kinds))
        if edition is not Edition.PLAIN:
            hypertables.create(connection, tables, chunk, done)
        for table in tables:
            _add_time_index(connection, edition, table, done)
        if edition is Edition.COMMUNITY and policies.retention is not None:
            drop_old(connection, tables, policies.retention)
        with step(connection):
            if edition is Edition.COMMUNITY:
                rollups.create_aggregates(connection, policies.retention, done)
                set_policies(connection, tables, policies, done)
            else:
                rollups.create_views(connection, done)
    return done


def _check_names(features: Sequence[str]) -> None:
    for name in features:
        if name in _TAKEN or len(name.encode()) > _LONGEST_NAME:
            raise SchemaError(
                f"a feature cannot be named {name!r}: choose another name of at most {_LONGEST_NAME} bytes"
            )


@contextmanager
def _alone(conninfo: str) -> Iterator[None]:
    """Waits without a timeout for other migrations, and excludes them, by a lock in a transaction of its own."""
    with session(conninfo, statement_timeout_ms=0) as connection:
        connection.execute("SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        yield


def _apply_versions(connection: psycopg.Connection, done: list[str]) -> None:
    connection.execute("""
        CREATE TABLE IF NOT EXISTS schema_version (
            version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())""")
    row = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()
    current: int = row[0] if row else 0
    if current > MIGRATIONS[-1].version:
        raise SchemaError(
            f"the database has schema version {current}, this program knows {MIGRATIONS[-1].version}: upgrade mdp"
        )
    for migration in MIGRATIONS[current:]:
        connection.execute(migration.sql)
        connection.execute(
            "INSERT INTO schema_version (version, name) VALUES (%s, %s)", [migration.version, migration.name]
        )
        done.append(f"schema version {migration.version}: {migration.name}")
    query = "SELECT name FROM unnest(%s::text[]) AS n (name) WHERE to_regclass(name) IS NULL"
    if gone := [name for (name,) in connection.execute(query, [list(TABLES)])]:
        raise SchemaError(f"a table was dropped: {', '.join(gone)}", RESTORE)


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


def _add_time_index(connection: psycopg.Connection, edition: Edition, managed: Managed, done: list[str]) -> None:
    """Adds a block range index: rows arrive almost in time order, so it finds a time range at little cost."""
    table, column = managed.name, managed.time
    index = f"{table}_{column}_brin"
    with step(connection) as schema:
        if _exists(connection, index):
            return
    per_chunk = sql.SQL("" if edition is Edition.PLAIN else "WITH (timescaledb.transaction_per_chunk)")
    names = sql.Identifier(index), sql.Identifier(schema, table), sql.Identifier(column)
    # Outside of a transaction block: it runs one transaction per chunk.
    connection.execute(sql.SQL("CREATE INDEX {} ON {} USING brin ({}) {}").format(*names, per_chunk))
    done.append(f"index {index}")


def _exists(connection: psycopg.Connection, relation: str) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [relation]).fetchone()
    return row is not None and bool(row[0])
