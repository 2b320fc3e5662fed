"""Connections to the database, the settings of each transaction, and the classification of errors.

Nothing relies on session state, so a pooler in transaction mode may lie in between: no prepared statement is named, and
every transaction begins with the settings that affect the meaning of statements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final, TypeVar

import psycopg
from psycopg import IsolationLevel, sql

from contracts.errors import MdpError, first_line
from sinks.conninfo import schema_apart
from sinks.missing_tables import note_remedy

_T = TypeVar("_T")

DEFAULTS: Final[dict[str, Any]] = {
    "application_name": "mdp",
    "client_encoding": "UTF8",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds: a vanished peer is noticed within this time
}
_REACH_SECONDS: Final = 2
STATEMENT_TIMEOUT_MS: Final = 60_000
LOCK_TIMEOUT_MS: Final = 15_000

# The isolation level is said as the transaction begins. `search_path` is set where the conninfo names a schema, such as
# that of a run; else it is left to whoever has chosen one by it, and settled where objects are made (`settle_schema`).
# That all changes are refused is not overruled: it may be meant so.
SETTINGS: Final = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",  # the shortest text that parses to the same bits
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "row_security": "off",  # rows that a policy would hide are an error, not missing
    "client_min_messages": "warning",
    "lock_timeout": str(LOCK_TIMEOUT_MS),
    "idle_in_transaction_session_timeout": str(STATEMENT_TIMEOUT_MS),
    # A repair may touch any number of compressed rows. Plain PostgreSQL accepts this name as a placeholder.
    "timescaledb.max_tuples_decompressed_per_dml_transaction": "0",
}

# A committed flush must survive a crash of the server, whatever the server's default. Statements have a timeout, which
# migrations switch off; PostgreSQL 17 has another one for the whole transaction. A session must not be ended while it
# waits for the next flush: that setting alone has to outlast the transaction.
_WHERE_NEEDED: Final = """
    CASE WHEN current_setting('idle_session_timeout', true) <> '0'
        THEN set_config('idle_session_timeout', '0', false) END,
    CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
        THEN set_config('synchronous_commit', 'on', true) END,
    CASE WHEN current_setting('transaction_timeout', true) <> '0' THEN set_config('transaction_timeout', '0', true) END
"""

# Errors of the data itself: value, constraint, and size (an index key of more than a third of a page, a huge document).
DATA_ERRORS: Final = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded)

# Transient errors: the server is down, full, shutting down or failing over, or another transaction conflicted.
_PASSING: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.IdleInTransactionSessionTimeout,
)


# Messages of libpq and the server about a failed connection, and the remedies.
_REMEDIES: Final = {
    "password authentication failed": "correct the user and the password in store.url, PGPASSWORD or PGPASSFILE",
    "no password supplied": "give a password in store.url, PGPASSWORD or PGPASSFILE",
    "certificate verify failed": "name the authority that signed the server's certificate as sslrootcert in store.url",
    "root certificate file": "name the authority that signed the server's certificate as sslrootcert in store.url",
    "does not match host name": "give the host in store.url the name in the server's certificate",
    "no encryption": "ask for TLS with sslmode=verify-full in store.url",
    "does not support SSL": "set up TLS on the server, or set another sslmode in store.url",
}
READ_ONLY_REMEDY: Final = "set it off for the database and the role; some hosts set it on while the disk is full"
_READ_ONLY: Final = "it is read-only, as default_transaction_read_only is on"
_STANDBY: Final = "it is a standby, which takes no changes"
_WAITED_OUT: Final = {
    "does not exist": "create it, or set store.url",  # a restore drops the database first
    _READ_ONLY: READ_ONLY_REMEDY,
    _STANDBY: "name the primary in store.url, or several hosts and target_session_attrs=read-write",
}
OUT_OF_LOCKS_REMEDY: Final = "raise max_locks_per_transaction in the server's configuration, and restart it"
_OTHER_REMEDY: Final = "start it, or set store.url"
_LOGIN_REMEDY: Final = "give the role that owns the tables LOGIN: the jobs of TimescaleDB run as that role"


class StoreUnavailable(MdpError):  # noqa: N818 - says what is wrong
    """The database is unavailable; the same call may succeed later. The message is one line."""

    passes = True

    def __init__(self, message: str) -> None:
        remedies = _REMEDIES | _WAITED_OUT
        super().__init__(message, next((remedies[sign] for sign in remedies if sign in message), _OTHER_REMEDY))

    @property
    def line(self) -> str:
        return f"the database cannot be used: {super().line}"

    @property
    def is_refusal(self) -> bool:
        """Whether the server rejects our credentials or we reject its certificate; waiting does not help."""
        return any(sign in str(self) for sign in _REMEDIES)


class StoreLimit(MdpError):  # noqa: N818 - says what is wrong
    """A limit or a missing right of the server or our role; waiting does not help."""

    @property
    def line(self) -> str:
        return f"the database: {super().line}"


class _Connection(psycopg.Connection):
    """A connection.

    Attributes:
        schema: where its transactions look for tables, if not where the role does.
    """

    schema: str | None = None


def connect(conninfo: str, *, read_only: bool = False) -> psycopg.Connection:
    """Returns a connection for use with `transaction`. Settings in `conninfo` override the defaults here.

    Raises:
        StoreUnavailable: the connection failed.
    """
    with passing_errors():
        given, schema = schema_apart(conninfo)
        options: dict[str, Any] = {**DEFAULTS, **given}
        connection = _Connection.connect(**options, autocommit=True, prepare_threshold=None)
        connection.schema = schema
        connection.isolation_level = IsolationLevel.READ_COMMITTED
        connection.read_only = read_only or None
        return connection


@contextmanager
def transaction(
    connection: psycopg.Connection, *, statement_timeout_ms: int = STATEMENT_TIMEOUT_MS
) -> Iterator[psycopg.Connection]:
    """Runs a transaction with `SETTINGS`; 0 means no timeout.

    Raises:
        StoreUnavailable: it was to write, and the server is read-only now.
    """
    schema = connection.schema if isinstance(connection, _Connection) else None
    try:
        with connection.transaction():
            connection.execute(_settings(statement_timeout_ms, schema))
            yield connection
    except psycopg.errors.UndefinedTable as error:
        if schema is None:
            note_remedy(connection, error)
        raise
    except psycopg.errors.ReadOnlySqlTransaction as error:
        is_standby = connection.info.parameter_status("in_hot_standby") == "on"
        raise StoreUnavailable(_STANDBY if is_standby else _READ_ONLY) from error


@contextmanager
def session(
    conninfo: str, *, read_only: bool = False, statement_timeout_ms: int = STATEMENT_TIMEOUT_MS
) -> Iterator[psycopg.Connection]:
    """Opens a connection for one transaction.

    Raises:
        StoreUnavailable: nothing was changed, or the outcome of the commit is unknown.
    """
    with (
        passing_errors(),
        connect(conninfo, read_only=read_only) as connection,
        transaction(connection, statement_timeout_ms=statement_timeout_ms),
    ):
        yield connection


@cache
def _settings(statement_timeout_ms: int, schema: str | None) -> bytes:
    settings = {**SETTINGS, "statement_timeout": str(statement_timeout_ms)}
    if schema is not None:
        settings["search_path"] = schema
    calls = [sql.SQL("set_config({}, {}, true)").format(*pair) for pair in settings.items()]
    return sql.SQL("SELECT {}, {}").format(sql.SQL(", ").join(calls), sql.SQL(_WHERE_NEEDED)).as_bytes()


def settle_schema(connection: psycopg.Connection) -> str | None:
    """Sets the search path of the transaction to the schema of our tables, existing or new; returns its name.

    None if the search path leads to no schema that this role may use.
    """
    row = connection.execute("""
        SELECT schema, set_config('search_path', concat_ws(', ', quote_ident(schema), (
            SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace
            WHERE extname = 'timescaledb' AND nspname <> schema)), true)
        FROM coalesce((
            SELECT nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
            WHERE c.oid = to_regclass('schema_version')), current_schema()) AS found (schema)
        WHERE schema IS NOT NULL""").fetchone()
    return None if row is None else str(row[0])


def reach(conninfo: str) -> None:
    """Connects within two seconds, overriding `conninfo`, and runs a query.

    Raises:
        StoreUnavailable: that failed.
    """
    options: dict[str, Any] = {**DEFAULTS, **schema_apart(conninfo)[0], "connect_timeout": _REACH_SECONDS}
    with passing_errors(), psycopg.connect(**options) as connection:
        connection.execute("SELECT 1")


def with_tables(call: Callable[[], _T], create_tables: Callable[[], object]) -> _T:
    """Returns the result of `call`; runs `create_tables` first if the tables are missing or of an older version."""
    try:
        return call()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        create_tables()
        return call()


@contextmanager
def passing_errors() -> Iterator[None]:
    """Turns transient errors into `StoreUnavailable`, and errors of the server's limits into `StoreLimit`.

    Errors of the data are raised unchanged.
    """
    try:
        yield
    except DATA_ERRORS:
        raise
    except psycopg.errors.ConfigurationLimitExceeded as error:
        raise StoreLimit(first_line(error), "raise that limit in the server's configuration") from error
    except psycopg.errors.InvalidAuthorizationSpecification as error:  # on an authenticated connection
        raise StoreLimit(first_line(error), _LOGIN_REMEDY) from error
    except _PASSING as error:
        if is_out_of_locks(error):
            raise StoreLimit(first_line(error), OUT_OF_LOCKS_REMEDY) from error
        raise StoreUnavailable(first_line(error)) from error


def is_out_of_locks(error: BaseException) -> bool:
    """Whether the lock table is full. Only the server's hint distinguishes that from other lack of memory."""
    return "max_locks_per_transaction" in str(error)
