"""One step of a migration. Each step commits, so an interrupted migration resumes after its last step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from contracts.errors import MdpError
from sinks.connection import settle_schema, transaction


class SchemaError(MdpError):
    """The database's schema and this program are incompatible; the message says what to do."""


@contextmanager
def step(connection: psycopg.Connection) -> Iterator[str]:
    """Runs a transaction in the schema of the tables and yields its name; no timeout, as moving rows may take long."""
    with transaction(connection, statement_timeout_ms=0):
        schema = settle_schema(connection)
        if schema is None:
            raise SchemaError("search_path contains no schema that this role may use: set it, or grant USAGE on one")
        yield schema
