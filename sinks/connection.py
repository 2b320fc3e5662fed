"""Connections to the database, and which of its errors mean what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from contracts.errors import MdpError

DEFAULTS: Final[dict[str, Any]] = {
    "application_name": "mdp",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds: a peer that vanished is noticed within this
}
_REACH_SECONDS: Final = 2
STATEMENT_TIMEOUT_MS: Final = 60_000
LOCK_TIMEOUT_MS: Final = 15_000

# Errors of the data itself: value, constraint, and size (an index key of more than a third of a page, a huge document).
DATA_ERRORS: Final = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded)

# Errors that pass: the server is away, full, shutting down or fails over, or another transaction was in the way.
_PASSING: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.IdleInTransactionSessionTimeout,
)


# What libpq and the server say of a connection that cannot be made, and what to do about it.
_REMEDIES: Final = {
    "password authentication failed": "correct the user and the password in store.url, PGPASSWORD or PGPASSFILE",
    "no password supplied": "give a password in store.url, PGPASSWORD or PGPASSFILE",
    "certificate verify failed": "name the authority that signed the server's certificate as sslrootcert in store.url",
    "root certificate file": "name the authority that signed the server's certificate as sslrootcert in store.url",
    "does not match host name": "name the server in store.url as its certificate does",
    "no encryption": "ask for TLS with sslmode=verify-full in store.url",
    "does not support SSL": "set TLS up on the server, or ask for another sslmode in store.url",
}
_WAITED_OUT: Final = {"does not exist": "create it, or set store.url"}  # who restores a database takes it away first
_OTHER_REMEDY: Final = "start it, or set store.url"


class StoreUnavailable(MdpError):  # noqa: N818 - says what is wrong
    """The database cannot do it now; the same call may succeed later. The message is one line."""

    passes = True

    def __init__(self, message: str) -> None:
        remedies = _REMEDIES | _WAITED_OUT
        super().__init__(message, next((remedies[sign] for sign in remedies if sign in message), _OTHER_REMEDY))

    @property
    def line(self) -> str:
        return f"the database cannot be used: {super().line}"

    @property
    def is_refusal(self) -> bool:
        """Whether the server and we do not trust each other, which waiting does not mend."""
        return any(sign in str(self) for sign in _REMEDIES)


def connect(conninfo: str, *, statement_timeout_ms: int = STATEMENT_TIMEOUT_MS) -> psycopg.Connection:
    """An autocommit connection with a UTC session. What `conninfo` says itself goes before the defaults here.

    Raises:
        StoreUnavailable: no connection could be made.
    """
    with passing_errors():
        connection = psycopg.connect(**{**DEFAULTS, **conninfo_to_dict(conninfo)}, autocommit=True)
        _configure(connection, statement_timeout_ms)
        return connection


def reach(conninfo: str) -> None:
    """Connects within two seconds, whatever `conninfo` says of that, and asks something.

    Raises:
        StoreUnavailable: that is not possible.
    """
    options = {**DEFAULTS, **conninfo_to_dict(conninfo), "connect_timeout": _REACH_SECONDS}
    with passing_errors(), psycopg.connect(**options) as connection:
        connection.execute("SELECT 1")


def _configure(connection: psycopg.Connection, statement_timeout_ms: int) -> None:
    settings = {
        "TimeZone": "UTC",
        "client_encoding": "UTF8",
        "statement_timeout": str(statement_timeout_ms),
        "lock_timeout": str(LOCK_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": str(STATEMENT_TIMEOUT_MS),
        # A repair may touch compressed rows in any number. Plain PostgreSQL takes this name as a placeholder.
        "timescaledb.max_tuples_decompressed_per_dml_transaction": "0",
    }
    # A flush that has returned must survive a crash of the server, whatever the server's default.
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') IN ('off', 'local')"
    )
    connection.execute(
        "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS setting (name, value)",
        [list(settings), list(settings.values())],
    )


@contextmanager
def passing_errors() -> Iterator[None]:
    """Turns errors that pass by themselves into `StoreUnavailable`; errors of the data stay what they are."""
    try:
        yield
    except DATA_ERRORS:
        raise
    except _PASSING as error:
        raise StoreUnavailable(first_line(error)) from error


def first_line(error: BaseException) -> str:
    """The message of an error without the details and hints that PostgreSQL adds on further lines."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
