"""Where a table is missing, the error says what to do; each test does it."""

from __future__ import annotations

import psycopg
import pytest

from sinks.conninfo import in_schema
from sinks.missing_tables import MIGRATE, RESTORE
from sinks.queries import stored
from sinks.schema.migrate import migrate
from sinks.schema.step import SchemaError


def remedy(database: str) -> str:
    """That of a query of the signals."""
    with pytest.raises(psycopg.errors.UndefinedTable) as refused:
        stored.signals(database, "A")
    [note] = refused.value.__notes__
    return note


def execute(database: str, statement: str) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(statement.encode())


def test_tables_that_were_never_created_are_created(database: str) -> None:
    assert remedy(database) == MIGRATE
    migrate(database, [])
    assert stored.signals(database, "A").is_empty()


def test_tables_of_an_older_version_are_upgraded(database: str) -> None:
    execute(database, "CREATE TABLE schema_version (version integer, name text, applied_at timestamptz)")
    assert remedy(database) == MIGRATE
    migrate(database, [])
    assert stored.signals(database, "A").is_empty()


def test_tables_that_the_search_path_does_not_lead_to_are_found(database: str) -> None:
    execute(database, "CREATE SCHEMA apart; CREATE SCHEMA run_a")
    migrate(in_schema(database, "apart"), [])
    migrate(in_schema(database, "run_a"), [], plain=True)
    _, found, statement = remedy(database).rpartition(": ")
    assert found
    execute(database, statement)
    assert stored.signals(database, "A").is_empty()
    assert migrate(database, []) == []


def test_a_table_that_was_dropped_is_not_created_empty(database: str) -> None:
    migrate(database, [])
    execute(database, "CREATE SCHEMA backup; ALTER TABLE signals SET SCHEMA backup")
    assert remedy(database) == RESTORE
    with pytest.raises(SchemaError, match="signals") as refused:
        migrate(database, [])
    assert refused.value.remedy == RESTORE
    execute(database, "ALTER TABLE backup.signals SET SCHEMA public")
    assert stored.signals(database, "A").is_empty()
    assert migrate(database, []) == []
