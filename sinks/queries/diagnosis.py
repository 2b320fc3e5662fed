"""Checks of what a database lacks for this program; reads only."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from typing import Final

import psycopg
from psycopg import sql

from sinks.schema.tables import MIGRATIONS, ROLLUPS, TABLES, TIME_COLUMN

LATEST: Final = MIGRATIONS[-1].version

_NEEDED: Final = {
    "schema_version": ("SELECT",),
    **dict.fromkeys(TABLES, ("SELECT", "INSERT", "UPDATE")),
    "late_repairs": ("SELECT", "INSERT", "DELETE"),
    "runs": ("SELECT", "INSERT", "UPDATE", "DELETE"),
}


def server_version(connection: psycopg.Connection) -> str:
    """The version of PostgreSQL, such as 17.5."""
    return str(_one(connection, "SELECT split_part(current_setting('server_version'), ' ', 1)"))


def role(connection: psycopg.Connection) -> str:
    """The current role."""
    return str(_one(connection, "SELECT current_user"))


def schema_version(connection: psycopg.Connection) -> int:
    """The newest migration that was applied; 0 before the first."""
    if _one(connection, "SELECT to_regclass('schema_version') IS NULL"):
        return 0
    version: int = _one(connection, "SELECT coalesce(max(version), 0) FROM schema_version")  # type: ignore[assignment]
    return version


def missing_relations(connection: psycopg.Connection) -> list[str]:
    """Required tables and rollups that do not exist."""
    names = [*TABLES, *(rollup.view for rollup in ROLLUPS)]
    query = (
        "SELECT name FROM unnest(%s::text[]) WITH ORDINALITY AS n (name, i) WHERE to_regclass(name) IS NULL ORDER BY i"
    )
    return [name for (name,) in connection.execute(query, [names])]


def missing_features(connection: psycopg.Connection, features: Sequence[str]) -> list[str]:
    """Features without a column in their table, which exists."""
    query = "SELECT attname FROM pg_attribute WHERE attrelid = 'features'::regclass AND NOT attisdropped"
    present = {name for (name,) in connection.execute(query)}
    return [name for name in features if name not in present]


def timescale_version(connection: psycopg.Connection) -> tuple[str | None, str | None]:
    """The version of the extension installed in this database, and the one that the server offers."""
    row = connection.execute(
        "SELECT installed_version, default_version FROM pg_available_extensions WHERE name = 'timescaledb'"
    ).fetchone()
    return (None, None) if row is None else (row[0], row[1])


def is_older(version: str, than: str) -> bool:
    """Compares the numbers of versions such as 2.29.2-dev."""
    numbers, others = ([int(number) for number in re.findall(r"\d+", text)[:3]] for text in (version, than))
    return numbers < others


def failed_jobs(connection: psycopg.Connection) -> list[tuple[str, str, str]]:
    """Jobs of TimescaleDB whose last run failed: procedure, table, and the error if we may read it."""
    query = """
        SELECT jobs.proc_name, jobs.hypertable_name, coalesce((
            SELECT err_message FROM timescaledb_information.job_errors AS e
            WHERE e.job_id = jobs.job_id ORDER BY finish_time DESC LIMIT 1), 'see the log of the server')
        FROM timescaledb_information.jobs JOIN timescaledb_information.job_stats AS stats USING (job_id)
        WHERE jobs.hypertable_schema = current_schema() AND stats.last_run_status = 'Failed' ORDER BY 2, 1"""
    return connection.execute(query).fetchall()


def ordinary_tables(connection: psycopg.Connection) -> list[str]:
    """Tables with a time column that are not hypertables, though TimescaleDB is installed."""
    query = "SELECT hypertable_name FROM timescaledb_information.hypertables WHERE hypertable_schema = current_schema()"
    managed = {name for (name,) in connection.execute(query)}
    return [name for name in TIME_COLUMN if name not in managed]


def is_read_only(connection: psycopg.Connection) -> bool:
    """Whether the server, the database or the role is read-only, as a standby is."""
    return _one(connection, "SELECT current_setting('default_transaction_read_only')") == "on"


def lacking_rights(connection: psycopg.Connection) -> Iterator[tuple[str, str]]:
    """Yields actions of a worker that this role may not do, and the statements that would grant them."""
    grantee = sql.Identifier(role(connection))
    if not _one(connection, "SELECT has_database_privilege(current_database(), 'TEMPORARY')"):
        grant = sql.SQL("GRANT TEMPORARY ON DATABASE {} TO {}").format(sql.Identifier(connection.info.dbname), grantee)
        yield "create temporary tables", grant.as_string(connection)
    schema = _one(connection, "SELECT current_schema()")
    if schema is None:  # of those on its search path, it may use none
        grant = sql.SQL("GRANT USAGE, CREATE ON SCHEMA public TO {}").format(grantee)
        yield "use the schema public", grant.as_string(connection)
        return
    if not _one(connection, "SELECT has_schema_privilege(current_schema(), 'CREATE')"):
        grant = sql.SQL("GRANT CREATE ON SCHEMA {} TO {}").format(sql.Identifier(str(schema)), grantee)
        yield f"create tables in the schema {schema}", grant.as_string(connection)
    for table, needed in _NEEDED.items():
        denied = [right for right in needed if not _may(connection, table, right)]
        if denied:
            rights = ", ".join(denied)
            grant = sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(rights), sql.Identifier(table), grantee)
            yield f"{rights} on {table}", grant.as_string(connection)


def _may(connection: psycopg.Connection, table: str, right: str) -> bool:
    """Whether the role has the right; true for a missing table, which is another finding."""
    return _one(connection, "SELECT has_table_privilege(to_regclass(%s), %s)", table, right) is not False


def foreign_tables(connection: psycopg.Connection) -> list[str]:
    """Tables that this role does not own, and so cannot alter."""
    query = (
        "SELECT relname::text FROM pg_class WHERE NOT pg_has_role(relowner, 'USAGE')"
        " AND oid IN (SELECT to_regclass(name) FROM unnest(%s::text[]) AS n (name)) ORDER BY relname"
    )
    return [name for (name,) in connection.execute(query, [list(TABLES)])]


def clock(connection: psycopg.Connection) -> tuple[float, float, float]:
    """The server's time, and this machine's before and after the query, in seconds since the epoch."""
    before = time.time()
    there = _one(connection, "SELECT extract(epoch FROM clock_timestamp())::double precision")
    return float(there), before, time.time()  # type: ignore[arg-type]


def _one(connection: psycopg.Connection, query: str, *parameters: object) -> object:
    row = connection.execute(query.encode(), parameters).fetchone()
    return row[0] if row else None
