"""Turns tables into hypertables, if the database has TimescaleDB. Changes only what differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, NamedTuple

import psycopg
from psycopg import sql

from contracts.errors import first_line
from sinks.connection import StoreUnavailable, session
from sinks.schema.step import step
from sinks.schema.tables import Managed

OLDEST: Final = "2.29.2"  # of TimescaleDB: earlier versions may omit rows of the columnstore from query results
MOST_CHUNKS: Final = 16  # of a table per transaction: each takes several of the server's locks


class Edition(Enum):
    """The edition of TimescaleDB in a database."""

    PLAIN = "PostgreSQL"
    APACHE = "TimescaleDB, Apache edition"  # hypertables only
    COMMUNITY = "TimescaleDB"


class ChunkLength(NamedTuple):
    """The time range of a new chunk: configured, or else a maximum, as another flow may need shorter ones."""

    length: timedelta
    is_chosen: bool


A_DAY: Final = ChunkLength(timedelta(days=1), is_chosen=False)


def enable_extension(connection: psycopg.Connection, conninfo: str, done: list[str]) -> Edition:
    """Creates the extension if the server has it and the role may; otherwise the tables stay ordinary."""
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
    """The edition in the database."""
    if connection.execute("SELECT FROM pg_extension WHERE extname = 'timescaledb'").fetchone() is None:
        return Edition.PLAIN
    row = connection.execute("SELECT current_setting('timescaledb.license', true)").fetchone()
    return Edition.COMMUNITY if row == ("timescale",) else Edition.APACHE


def extension_schema(connection: psycopg.Connection) -> str:
    """The schema of TimescaleDB's functions; the extension must be installed."""
    query = "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'timescaledb'"
    row = connection.execute(query).fetchone()
    return str(row[0]) if row else "public"


def create(connection: psycopg.Connection, tables: Sequence[Managed], wanted: ChunkLength, done: list[str]) -> None:
    """Turns tables into hypertables. Their keys contain the time column, so no further index is needed.

    Existing rows are moved aside and copied back a few chunks at a time: meanwhile readers miss some rows, and flows
    may write.
    """
    for managed in tables:
        table, column, length = managed.name, managed.time, wanted if managed.is_of_flow else _of_messages(wanted)
        with step(connection):
            if not is_hypertable(connection, table):
                _put_aside(connection, table, column)
                _convert(connection, table, column, length.length)
                done.append(f"hypertable {table}")
            elif _set_length(connection, table, length):
                done.append(f"new chunks of {table} span {length.length}")
        _bring_back(connection, table, column)


def _of_messages(wanted: ChunkLength) -> ChunkLength:
    """Messages are as many as events, whatever the window: a day of them unless another length is configured."""
    return wanted if wanted.is_chosen else A_DAY


def is_hypertable(connection: psycopg.Connection, table: str, *, compressed: bool = False) -> bool:
    """Whether the table is a hypertable, with a columnstore if `compressed`."""
    row = connection.execute(
        "SELECT FROM timescaledb_information.hypertables WHERE hypertable_schema = current_schema()"
        " AND hypertable_name = %s AND (compression_enabled OR NOT %s::boolean)",
        [table, compressed],
    ).fetchone()
    return row is not None


def _convert(connection: psycopg.Connection, table: str, column: str, length: timedelta) -> None:
    connection.execute(
        "SELECT create_hypertable(%s::regclass, by_range(%s::name, %s::interval), create_default_indexes => false)",
        [table, column, length],
    )


def _set_length(connection: psycopg.Connection, table: str, wanted: ChunkLength) -> bool:
    row = connection.execute(
        "SELECT set_chunk_time_interval(quote_ident(hypertable_name)::regclass, %(length)s::interval)"
        " FROM timescaledb_information.dimensions"
        " WHERE hypertable_schema = current_schema() AND hypertable_name = %(table)s"
        " AND (time_interval > %(length)s OR %(is_chosen)s AND time_interval <> %(length)s)",
        {"table": table, **wanted._asdict()},
    ).fetchone()
    return row is not None


def _aside(table: str) -> str:
    return f"{table}_aside"


def _put_aside(connection: psycopg.Connection, table: str, column: str) -> None:
    names = {"table": sql.Identifier(table), "aside": sql.Identifier(_aside(table)), "column": sql.Identifier(column)}
    connection.execute(sql.SQL("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE").format(**names))
    if connection.execute(sql.SQL("SELECT FROM {table} LIMIT 1").format(**names)).fetchone() is None:
        return
    for statement in (
        "CREATE TABLE {aside} AS TABLE {table}",
        "CREATE INDEX ON {aside} USING brin ({column})",
        "TRUNCATE {table}",
    ):
        connection.execute(sql.SQL(statement).format(**names))


def _bring_back(connection: psycopg.Connection, table: str, column: str) -> None:
    """Copies rows back; rows that a flow has written meanwhile are at least as new, and stay."""
    names = {"table": sql.Identifier(table), "aside": sql.Identifier(_aside(table)), "column": sql.Identifier(column)}
    with step(connection):
        if connection.execute("SELECT to_regclass(%s)", [_aside(table)]).fetchone() == (None,):
            return
        spans = list(_spans(connection, table, sql.SQL("SELECT DISTINCT {column} FROM {aside}").format(**names)))
    move = "INSERT INTO {table} SELECT * FROM {aside} WHERE {column} BETWEEN %s AND %s ON CONFLICT DO NOTHING"
    for first, last in spans:
        with step(connection):
            connection.execute(sql.SQL(move).format(**names), [first, last])
    with step(connection):
        connection.execute(sql.SQL("DROP TABLE {aside}").format(**names))


def _spans(connection: psycopg.Connection, table: str, times: sql.Composed) -> Iterator[tuple[datetime, datetime]]:
    """Yields ranges (first, last) of these times in order, each within a few chunks."""
    query = sql.SQL("""
        SELECT min(at), max(at) FROM (SELECT at, dense_rank() OVER (ORDER BY floor(
            extract(epoch FROM at) / (SELECT extract(epoch FROM time_interval) FROM timescaledb_information.dimensions
                WHERE hypertable_schema = current_schema() AND hypertable_name = {table}))) AS number
            FROM ({times}) AS times (at)) AS numbered GROUP BY (number - 1) / {most} ORDER BY 1""")
    yield from connection.execute(query.format(table=table, times=times, most=MOST_CHUNKS)).fetchall()
