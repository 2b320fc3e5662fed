"""What libpq needs to find a database, put together and taken apart."""

from __future__ import annotations

from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo


def with_passfile(url: str, passfile: str, database: str | None = None) -> str:
    """`url` and the file that holds its password; another database of the same server, if it is named."""
    named = {} if database is None else {"dbname": database}
    return make_conninfo(url, passfile=passfile, **named)


def parameters_of(conninfo: str) -> dict[str, str]:
    """The parameters of a URL or a conninfo by name, a password included."""
    return {name: str(value) for name, value in conninfo_to_dict(conninfo).items()}


def environment_of(conninfo: str) -> dict[str, str]:
    """The variables that lead psql, or any other client that is made with libpq, where `conninfo` does.

    What no variable is for, such as keepalives, is left out.
    """
    variables = {option.keyword.decode(): option.envvar for option in Conninfo.get_defaults()}
    given = parameters_of(conninfo)
    return {variable.decode(): given[name] for name, variable in variables.items() if variable and name in given}
