"""What to do about a table that does not exist."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import psycopg

from sinks.schema.tables import MIGRATIONS, TABLES

MIGRATE: Final = "run `mdp store migrate` first"
RESTORE: Final = "restore it from a backup, or name an empty database in store.url: a flow fills it from the log"

# The schema of a run has all tables, too, but is never the one that a role means.
_WHERE: Final = r"""
SELECT to_regclass('schema_version') IS NOT NULL, (
    SELECT format('ALTER ROLE %I IN DATABASE %I SET search_path = %I', current_user, current_database(), min(nspname))
    FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
    WHERE relname = 'schema_version' AND relkind = 'r' AND nspname NOT LIKE 'run\_%' HAVING count(*) > 0)"""


def note_remedy(connection: psycopg.Connection, error: psycopg.errors.UndefinedTable) -> None:
    """Adds the remedy to the error as a note. The transaction in which it was raised must have ended."""
    with suppress(psycopg.Error):  # the first error is the one to be shown
        error.add_note(remedy(connection))


def remedy(connection: psycopg.Connection) -> str:
    """For a table that the search path does not lead to.

    The tables were never created, or are of an older version; or they are in a schema that is not on the path; or this
    one was dropped, which no migration undoes: what it held would be missing. Those of messages may be created later.
    """
    is_found, statement = connection.execute(_WHERE).fetchone() or (False, None)
    if not is_found:
        return MIGRATE if statement is None else f"the tables are in a schema that is not searched: {statement}"
    query = "SELECT max(version), (SELECT bool_or(to_regclass(name) IS NULL) FROM unnest(%s::text[]) AS t (name))"
    row = connection.execute(f"{query} FROM schema_version", [list(TABLES)]).fetchone()
    return RESTORE if row == (MIGRATIONS[-1].version, True) else MIGRATE
