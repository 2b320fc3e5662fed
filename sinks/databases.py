"""Databases of a server, for those who start one or want one of their own."""

from __future__ import annotations

import psycopg
from psycopg import sql

from sinks.connection import StoreUnavailable


def create(conninfo: str, name: str) -> None:
    """Creates the database unless there is one of this name; `conninfo` leads to any other one of the server."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def drop(conninfo: str, name: str) -> None:
    """Drops the database, if there is one of this name, and ends the connections to it.

    Raises:
        StoreUnavailable: the server is away.
    """
    try:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    except psycopg.OperationalError as error:
        raise StoreUnavailable(str(error)) from None


def reach(conninfo: str) -> None:
    """Returns once the database has answered a query."""
    with psycopg.connect(conninfo) as connection:
        connection.execute("SELECT 1")


def answers(conninfo: str) -> bool:
    """Whether the server lets us in."""
    try:
        psycopg.connect(conninfo, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
