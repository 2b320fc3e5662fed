"""Creates the database itself."""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from contracts.errors import first_line
from sinks.connection import StoreLimit, StoreUnavailable, connect, passing_errors

_MAINTENANCE: Final = "postgres"  # a database that every server has


def create_missing(conninfo: str) -> list[str]:
    """Create the database that `conninfo` names if it is missing; return what was done, one line each.

    Args:
        conninfo: libpq URL or connection string. To create the database, the role needs CREATEDB.

    Raises:
        StoreUnavailable: the server cannot be reached, or refuses the connection.
        StoreLimit: the role may not create databases.
    """
    try:
        connect(conninfo).close()
    except StoreUnavailable as error:
        name = str(conninfo_to_dict(conninfo).get("dbname", ""))
        if f'database "{name}" does not exist' not in str(error):
            raise
    else:
        return []
    try:
        with passing_errors(), connect(make_conninfo(conninfo, dbname=_MAINTENANCE)) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise StoreLimit(first_line(error), f"create {name} as a role that may, or grant CREATEDB") from error
    return [f"database {name}"]
