"""What libpq needs to find a database, put together and taken apart."""

from __future__ import annotations

from psycopg.conninfo import conninfo_to_dict, make_conninfo


def with_passfile(url: str, passfile: str, database: str | None = None) -> str:
    """`url` and the file that holds its password; another database of the same server, if it is named."""
    named = {} if database is None else {"dbname": database}
    return make_conninfo(url, passfile=passfile, **named)


def parameters_of(conninfo: str) -> dict[str, str]:
    """The parameters of a URL or a conninfo by name, a password included."""
    return {name: str(value) for name, value in conninfo_to_dict(conninfo).items()}
