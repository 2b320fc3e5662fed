"""Frames as the text format of PostgreSQL's COPY.

The text format, not CSV: null and the empty string are told apart without quoting, and no value can be mistaken for
the end-of-data marker. Floats are written with the fewest digits that read back to the same bits.
"""

from __future__ import annotations

from functools import cache
from io import BytesIO
from typing import Final

import polars as pl
import psycopg
from polars import selectors as cs
from psycopg import sql

_SPECIAL: Final = ["\\", "\t", "\n", "\r"]
_ESCAPED: Final = ["\\\\", "\\t", "\\n", "\\r"]
_NULL: Final = "\\N"


def copy_text(frame: pl.DataFrame) -> bytes:
    """The rows of `frame`, one line each. Datetimes are written without a zone: the session's is UTC."""
    buffer = BytesIO()
    frame.with_columns(cs.string().str.replace_many(_SPECIAL, _ESCAPED)).write_csv(
        buffer, include_header=False, separator="\t", quote_style="never", null_value=_NULL
    )
    return buffer.getvalue()


def copy_into(cursor: psycopg.Cursor, table: str, frame: pl.DataFrame) -> None:
    """Sends `frame` to the columns of `table` that have its columns' names."""
    with cursor.copy(_statement(table, tuple(frame.columns))) as copy:
        copy.write(copy_text(frame))


@cache
def _statement(table: str, columns: tuple[str, ...]) -> bytes:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names).as_bytes()
