"""One step of a migration. What a step did stays, so a migration that was interrupted goes on from there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from contracts.errors import MdpError
from sinks.connection import settle_schema, transaction


class SchemaError(MdpError):
    """The database and this program do not fit together; the message says what to do."""


@contextmanager
def step(connection: psycopg.Connection) -> Iterator[str]:
    """A transaction in the schema of the tables, its name; without a timeout, as rows are moved as long as it takes."""
    with transaction(connection, statement_timeout_ms=0):
        schema = settle_schema(connection)
        if schema is None:
            raise SchemaError("search_path leads to no schema that this role may use: set it, or grant one")
        yield schema
