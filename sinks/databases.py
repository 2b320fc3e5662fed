"""Creates and drops databases of a server, for local stacks and demos."""

from __future__ import annotations

import psycopg
from psycopg import sql

from sinks.connection import StoreUnavailable


def create(conninfo: str, name: str) -> None:
    """Creates the database unless it exists; `conninfo` names any other database of the server."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def drop(conninfo: str, name: str) -> None:
    """Drops the database if it exists, and closes the connections to it.

    Raises:
        StoreUnavailable: the server is unavailable.
    """
    try:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    except psycopg.OperationalError as error:
        raise StoreUnavailable(str(error)) from None


def reach(conninfo: str) -> None:
    """Runs a query on the database."""
    with psycopg.connect(conninfo) as connection:
        connection.execute("SELECT 1")


def answers(conninfo: str) -> bool:
    """Whether the server accepts our connection."""
    try:
        psycopg.connect(conninfo, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
