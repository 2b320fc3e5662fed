"""Tables of messages, derived from the declarations of their types: created when missing, and given new columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import psycopg
from psycopg import sql

from contracts.columns import TableColumn
from contracts.envelope import DEDUPE_KEY, stored_columns
from contracts.message import MessageType
from sinks.merge import message_key, segment_of
from sinks.schema.step import SchemaError
from sinks.schema.tables import CAUSE, TABLES, Managed

_RESERVED: Final = frozenset({"schema_version", *TABLES})
_MOST_BYTES: Final = 48  # of a name, to which those of its indexes add some
_FULL_NAMES: Final = {"timestamptz": "timestamp with time zone"}  # as the catalogue has them

_PRESENT: Final = """
SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
WHERE attrelid = to_regclass(quote_ident(%s)) AND attnum > 0 AND NOT attisdropped"""


def managed(kind: MessageType) -> Managed:
    """How TimescaleDB keeps the table of a type."""
    return Managed(str(kind.table), "ts", segment_of(kind), f"ts, {DEDUPE_KEY}", is_of_flow=False)


def create(connection: psycopg.Connection, kinds: Sequence[MessageType], done: list[str]) -> None:
    """Creates the tables of these types, or adds the columns that they lack.

    Raises:
        SchemaError: a table's name is taken, or a column has another type than its declaration.
    """
    for kind in kinds:
        _check_name(kind)
        present: dict[str, str] = dict(connection.execute(_PRESENT, [kind.table]).fetchall())
        if present:
            _complete(connection, kind, present, done)
        else:
            connection.execute(_definition(kind))
            done.append(f"table {kind.table} of {kind.id}")


def _check_name(kind: MessageType) -> None:
    table = str(kind.table)
    if table in _RESERVED or table.startswith("bars_"):
        raise SchemaError(f"{kind.id}: the table {table} is one of mdp's own: give it another name")
    if len(table.encode()) > _MOST_BYTES:
        raise SchemaError(
            f"{kind.id}: the table name {table} is longer than {_MOST_BYTES} bytes: give it a shorter one"
        )


def _complete(connection: psycopg.Connection, kind: MessageType, present: dict[str, str], done: list[str]) -> None:
    for column in stored_columns(kind):
        wanted = _full_name(column.type)
        if column.name not in present:
            statement = sql.SQL("ALTER TABLE {} ADD COLUMN {} {}")
            names = sql.Identifier(str(kind.table)), sql.Identifier(column.name), sql.SQL(column.type)
            connection.execute(statement.format(*names))
            done.append(f"column {column.name} of {kind.table}")
        elif present[column.name] != wanted:
            raise SchemaError(
                f"{kind.id}: the column {column.name} of the table {kind.table} is {present[column.name]}, and should "
                f"be {wanted}: alter it, or move the table away"
            )


def _full_name(kind: str) -> str:
    element = kind.removesuffix("[]")
    return _FULL_NAMES.get(element, element) + kind[len(element) :]


def _definition(kind: MessageType) -> sql.Composed:
    columns = [*map(_column, stored_columns(kind)), sql.SQL("{} uuid NOT NULL").format(sql.Identifier(DEDUPE_KEY))]
    return sql.SQL("CREATE TABLE {} ({}, {}, PRIMARY KEY ({}))").format(
        sql.Identifier(str(kind.table)),
        sql.SQL(", ").join(columns),
        sql.SQL(CAUSE),
        sql.SQL(", ").join(map(sql.Identifier, message_key(kind))),
    )


def _column(column: TableColumn) -> sql.Composed:
    need = sql.SQL("" if column.nullable else " NOT NULL")
    return sql.SQL("{} {}{}").format(sql.Identifier(column.name), sql.SQL(column.type), need)
