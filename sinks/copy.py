"""Writes frames into a table by COPY."""

from __future__ import annotations

from functools import cache

import polars as pl
import psycopg
from psycopg import sql

from native.copy_binary import copy_binary


def copy_into(cursor: psycopg.Cursor, table: str, frame: pl.DataFrame) -> None:
    """Sends `frame` to the columns of `table` that have its columns' names."""
    with cursor.copy(_statement(table, tuple(frame.columns))) as stream:
        stream.write(copy_binary(frame))


@cache
def _statement(table: str, columns: tuple[str, ...]) -> bytes:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(sql.Identifier(table), names).as_bytes()
