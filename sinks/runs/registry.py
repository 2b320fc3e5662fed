"""The registry of runs: each has a row in the table `runs`, beside the live tables, and a schema for its results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from contracts.suggestions import did_you_mean
from sinks.connection import connect, passing_errors, session
from sinks.runs.names import RunError, schema_of
from sinks.runs.span import Span

_LOCKS: Final = 716_420  # the class of the locks of runs: any number, the same in all versions of this program

# A run whose status is running, but whose lock nobody holds, was killed.
_RUNS: Final = """
SELECT name, flow, topic, "interval", range_start, range_end, started_at, finished_at, version, fingerprint, config,
    counts, error, CASE WHEN status = 'running' AND NOT EXISTS (
        SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = hashtext(name)::oid
            AND objsubid = 2 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    ) THEN 'killed' ELSE status END AS status
FROM runs ORDER BY started_at, name"""

# For a transaction that is idle for the duration of a run. Only some versions of the server have both settings.
_NO_TIMEOUT: Final = """
SELECT set_config(name, '0', true) FROM pg_settings
WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')"""

_MAY_CREATE: Final = """
SELECT has_database_privilege(current_database(), 'CREATE'), current_database(), current_user"""

_BEGIN: Final = """
INSERT INTO runs (name, flow, topic, "interval", range_start, range_end, status, version, fingerprint, config)
VALUES (%s, %s, %s, %s, %s, %s, 'running', %s, %s, %s)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of a range.

    Attributes:
        flow: the name of the dataflow.
        interval: the length of its bars, such as `2s`.
        version: the version of mdp.
        fingerprint: a hash of the config, to see at a glance whether two runs have the same one.
        config: the effective config, without secrets.
        counts: what it wrote, see `sinks.runs.counts`; empty until it has finished.
        status: running, finished, stopped, failed; or killed, if it ended without recording an end.
    """

    name: str
    flow: str
    topic: str
    interval: str
    span: Span
    version: str
    fingerprint: str
    config: Mapping[str, Any]
    status: str = "running"
    started_at: datetime | None = None
    finished_at: datetime | None = None
    counts: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


@contextmanager
def reserved(conninfo: str, name: str) -> Iterator[None]:
    """Reserves the name for this process, across machines; the server releases it when the process ends.

    Raises:
        RunError: another process has reserved it.
        StoreUnavailable: the database cannot be reached.
    """
    with passing_errors():
        connection = connect(conninfo)
    with closing(connection):  # ends the transaction, and with it the lock, whatever is raised meanwhile
        with passing_errors():
            connection.autocommit = False
            connection.execute(_NO_TIMEOUT)
            row = connection.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", [_LOCKS, name]).fetchone()
        if row != (True,):
            raise RunError(in_use(name))
        yield


def in_use(name: str) -> str:
    """The message if another process has reserved the name."""
    return f"run {name} is in progress: wait for its end, or choose another name with --run"


def begin(conninfo: str, run: Run, *, replace: bool) -> None:
    """Registers a run whose name this process has reserved, and creates its empty schema.

    The rows of an unfinished run with this name are dropped.

    Raises:
        RunError: a finished run has the name and `replace` is false, or the role may not create schemas.
        StoreUnavailable: the database cannot be reached.
    """
    with session(conninfo, statement_timeout_ms=0) as connection:
        row = connection.execute("SELECT status FROM runs WHERE name = %s", [run.name]).fetchone()
        if row == ("finished",) and not replace:
            raise RunError(
                f"there is already a run {run.name}",
                f"give this one another name with --run, replace that one with --overwrite, or drop it with "
                f"`mdp runs drop {run.name}`",
            )
        if row is not None:
            drop_in(connection, run.name)
        _create_schema(connection, schema_of(run.name))
        planned = [run.name, run.flow, run.topic, run.interval, *run.span, run.version, run.fingerprint]
        connection.execute(_BEGIN, [*planned, Jsonb(dict(run.config))])


def _create_schema(connection: psycopg.Connection, schema: str) -> None:
    [(may, database, role)] = connection.execute(_MAY_CREATE).fetchall()
    if not may:
        grant = sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(sql.Identifier(database), sql.Identifier(role))
        raise RunError(f"a run needs its own schema, and {role} may not create schemas here", grant.as_string())
    try:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    except psycopg.errors.DuplicateSchema as error:
        raise RunError(f"the schema {schema} belongs to no run of these tables: choose another name") from error


def end(
    conninfo: str,
    name: str,
    status: Literal["finished", "stopped", "failed"],
    counts: Mapping[str, Any] | None = None,
    error: str | None = None,
) -> None:
    """Records how a run ended.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    with session(conninfo) as connection:
        connection.execute(
            "UPDATE runs SET status = %s, finished_at = now(), counts = %s, error = %s WHERE name = %s",
            [status, None if counts is None else Jsonb(dict(counts)), error, name],
        )


def runs(conninfo: str) -> list[Run]:
    """All runs, oldest first.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    with session(conninfo, read_only=True) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return [_run(row) for row in cursor.execute(_RUNS, [_LOCKS])]


def _run(row: dict[str, Any]) -> Run:
    span = Span(row.pop("range_start"), row.pop("range_end"))
    return Run(span=span, counts=row.pop("counts") or {}, **row)


def find(conninfo: str, name: str) -> Run:
    """The run with this name.

    Raises:
        RunError: there is none.
        StoreUnavailable: the database cannot be reached.
    """
    schema_of(name)
    known = {run.name: run for run in runs(conninfo)}
    if name not in known:
        raise RunError(f"there is no run {name}{did_you_mean(name, known)}", "`mdp runs` lists them")
    return known[name]


def drop(conninfo: str, name: str) -> None:
    """Drops a run, whose name this process has reserved, and its tables.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    with session(conninfo, statement_timeout_ms=0) as connection:
        drop_in(connection, name)


def drop_in(connection: psycopg.Connection, name: str) -> None:
    """The same, within a transaction."""
    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema_of(name))))
    connection.execute("DELETE FROM runs WHERE name = %s", [name])
