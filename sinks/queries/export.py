"""Reads any number of rows as a stream, so that neither side holds them all in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import polars as pl
from psycopg import sql

from sinks.connection import connect, passing_errors, transaction
from sinks.newest import Depths, Stretch
from sinks.queries.selection import Rows

_TEXT_BYTES: Final = 16 << 20  # of a frame's rows as the server sends them

# By the server's fixed type ids: how to select a column, so that its text can be parsed, and its Polars type.
_MICROSECONDS: Final = "(extract(epoch FROM {}) * 1000000)::bigint"
_LIST: Final = "to_json({})::text"
_FLAG: Final = "({})::boolean"
_COLUMNS: Final[dict[int, tuple[str, Any]]] = {
    16: (_FLAG, pl.Boolean),
    20: ("{}", pl.Int64),
    23: ("{}", pl.Int64),
    25: ("{}", pl.String),
    701: ("{}", pl.Float64),
    1184: (_MICROSECONDS, pl.Datetime("us", "UTC")),
    3802: ("{}::text", pl.String),
}

_WRITTEN: Final[dict[str, Any]] = {
    _MICROSECONDS: pl.Int64,
    _LIST: pl.String,
    _FLAG: pl.String,
}  # types of columns in the text

Schema = dict[str, Any]
_Columns = dict[str, tuple[str, Any]]


def stream(conninfo: str, selection: Rows) -> tuple[Schema, Iterator[pl.DataFrame]]:
    """Returns the columns, and frames of all selected rows in the order of the selection.

    On TimescaleDB the order holds within each time range of 16 chunks, as a transaction that reads all chunks would
    need the locks of all.

    Raises:
        StoreUnavailable: the database cannot be reached, also while the frames are read.
    """
    with passing_errors(), connect(conninfo, read_only=True) as connection, transaction(connection):
        found = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(sql.Identifier(selection.table)))
        known = {one.name: one.type_code for one in found.description or () if one.name not in selection.hidden}
    lists = {name: (_LIST, dtype) for name, dtype in selection.lists.items()}
    columns = {name: lists.get(name) or _COLUMNS[code] for name, code in known.items()}
    return {name: dtype for name, (_, dtype) in columns.items()}, _frames(conninfo, selection, columns)


def _frames(conninfo: str, selection: Rows, columns: _Columns) -> Iterator[pl.DataFrame]:
    text: list[bytes] = []
    size = 0
    for row in _rows(conninfo, selection, columns):
        text.append(row)
        size += len(row)
        if size > _TEXT_BYTES:
            yield _frame(b"".join(text), columns)
            text, size = [], 0
    if text:
        yield _frame(b"".join(text), columns)


def _frame(text: bytes, columns: _Columns) -> pl.DataFrame:
    """A frame of CSV rows, whose times are microseconds, and whose lists are JSON."""
    schema: Schema = {name: _WRITTEN.get(form, dtype) for name, (form, dtype) in columns.items()}
    frame = pl.read_csv(text, has_header=False, schema=schema)
    return frame.with_columns(_parsed(name, *columns[name]) for name in columns)


def _parsed(name: str, form: str, dtype: Any) -> pl.Expr:
    if form == _LIST:
        return pl.col(name).str.json_decode(dtype)
    return pl.col(name) == "t" if form == _FLAG else pl.col(name).cast(dtype)


def _rows(conninfo: str, selection: Rows, columns: _Columns) -> Iterator[bytes]:
    """Yields each row as a line of CSV."""
    with passing_errors(), connect(conninfo, read_only=True) as connection:
        with transaction(connection):
            depths = Depths.of(connection, [selection.base])
            stretches = list(depths.stretches(selection.base))
            conditions = selection.conditions(connection)
        for stretch in stretches:
            query = _query(selection, columns, [*conditions, *_within(selection, stretch)])
            with transaction(connection, statement_timeout_ms=0), connection.cursor().copy(query) as rows:
                yield from map(bytes, rows)


def _query(selection: Rows, columns: _Columns, conditions: Sequence[sql.Composable]) -> sql.Composed:
    """The COPY statement, which takes no parameters: all values are literals."""
    asked = [sql.SQL(form).format(sql.Identifier(name)) for name, (form, _) in columns.items()]
    return sql.SQL("COPY (SELECT {} FROM {} WHERE {} ORDER BY {}) TO STDOUT (FORMAT csv)").format(
        sql.SQL(", ").join(asked),
        sql.Identifier(selection.table),
        sql.SQL(" AND ").join([sql.SQL("true"), *conditions]),
        sql.SQL(", ").join(map(sql.Identifier, selection.order)),
    )


def _within(selection: Rows, stretch: Stretch) -> Iterator[sql.Composable]:
    time = sql.Identifier(selection.time)
    start, end = stretch
    for lowest in (selection.start, start):
        if lowest is not None:
            yield sql.SQL("{} >= {}").format(time, lowest)
    for highest in (selection.end, end):
        if highest is not None:
            yield sql.SQL("{} < {}").format(time, highest)
