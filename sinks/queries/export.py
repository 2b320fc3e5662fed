"""Reads any number of rows as a stream, so that neither side holds them all in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import polars as pl
import psycopg
from psycopg import sql

from sinks.connection import connect, passing_errors, transaction
from sinks.newest import Depths, Stretch
from sinks.queries.selection import Selection

_TEXT_BYTES: Final = 16 << 20  # of a frame's rows as the server sends them
_ORDER: Final = ("provider", "symbol", "interval")

# By the server's fixed type ids: how to select a column, so that its text can be parsed, and its Polars type.
_MICROSECONDS: Final = "(extract(epoch FROM {}) * 1000000)::bigint"
_COLUMNS: Final[dict[int, tuple[str, Any]]] = {
    20: ("{}", pl.Int64),
    23: ("{}", pl.Int64),
    25: ("{}", pl.String),
    701: ("{}", pl.Float64),
    1184: (_MICROSECONDS, pl.Datetime("us", "UTC")),
    3802: ("{}::text", pl.String),
}

Schema = dict[str, Any]


def stream(conninfo: str, selection: Selection) -> tuple[Schema, Iterator[pl.DataFrame]]:
    """Returns the columns, and frames of all selected rows in the order of provider, symbol, interval and time.

    On TimescaleDB the order holds within each time range of 16 chunks, as a transaction that reads all chunks would
    need the locks of all.

    Raises:
        StoreUnavailable: the database cannot be reached, also while the frames are read.
    """
    with passing_errors(), connect(conninfo, read_only=True) as connection, transaction(connection):
        found = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(sql.Identifier(selection.table)))
        columns = {column.name: _COLUMNS[column.type_code] for column in found.description or ()}
    return {name: dtype for name, (_, dtype) in columns.items()}, _frames(conninfo, selection, columns)


def _frames(conninfo: str, selection: Selection, columns: dict[str, tuple[str, Any]]) -> Iterator[pl.DataFrame]:
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


def _frame(text: bytes, columns: dict[str, tuple[str, Any]]) -> pl.DataFrame:
    """A frame of CSV rows, whose times are microseconds."""
    times = [name for name, (form, _) in columns.items() if form is _MICROSECONDS]
    schema = {name: pl.Int64 if name in times else dtype for name, (_, dtype) in columns.items()}
    frame = pl.read_csv(text, has_header=False, schema=schema)
    return frame.with_columns(pl.col(name).cast(columns[name][1]) for name in times)


def _rows(conninfo: str, selection: Selection, columns: dict[str, tuple[str, Any]]) -> Iterator[bytes]:
    """Yields each row as a line of CSV."""
    with passing_errors(), connect(conninfo, read_only=True) as connection:
        with transaction(connection):
            stretches = list(Depths.of(connection).stretches(selection.base))
            series = _series(connection, selection)
        for start, end in stretches:
            query = _query(selection, columns, series, (start, end))
            with transaction(connection, statement_timeout_ms=0), connection.cursor().copy(query) as rows:
                yield from map(bytes, rows)


def _series(connection: psycopg.Connection, selection: Selection) -> list[tuple[str, str, str]] | None:
    """The series of the selected symbol, for look-ups by index; None if rows of all symbols are selected."""
    if selection.symbol is None:
        return None
    query = sql.SQL("SELECT * FROM {}").format(selection.series)
    return connection.execute(query, selection.parameters).fetchall()


def _query(
    selection: Selection,
    columns: dict[str, tuple[str, Any]],
    series: list[tuple[str, str, str]] | None,
    stretch: Stretch,
) -> sql.Composed:
    """The COPY statement, which takes no parameters: all values are literals."""
    asked = [sql.SQL(form).format(sql.Identifier(name)) for name, (form, _) in columns.items()]
    order = [*_ORDER, selection.time, *(["name", "adapter"] if selection.table == "signals" else [])]
    return sql.SQL("COPY (SELECT {} FROM {} WHERE {} ORDER BY {}) TO STDOUT (FORMAT csv)").format(
        sql.SQL(", ").join(asked),
        sql.Identifier(selection.table),
        sql.SQL(" AND ").join(_conditions(selection, series, stretch)),
        sql.SQL(", ").join(map(sql.Identifier, order)),
    )


def _conditions(
    selection: Selection, series: list[tuple[str, str, str]] | None, stretch: Stretch
) -> Iterator[sql.Composable]:
    yield sql.SQL("true")
    time = sql.Identifier(selection.time)
    start, end = stretch
    for lowest in (selection.start, start):
        if lowest is not None:
            yield sql.SQL("{} >= {}").format(time, lowest)
    for highest in (selection.end, end):
        if highest is not None:
            yield sql.SQL("{} < {}").format(time, highest)
    if series is None:
        for name in ("provider", "interval"):
            if (value := getattr(selection, name)) is not None:
                yield sql.SQL("{} = {}").format(sql.Identifier(name), value)
    else:
        keys: list[sql.Composable] = [
            sql.SQL('(provider = {} AND symbol = {} AND "interval" = {})').format(*key) for key in series
        ]
        yield sql.SQL("({})").format(sql.SQL(" OR ").join(keys or [sql.SQL("false")]))
