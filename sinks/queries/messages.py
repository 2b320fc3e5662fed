"""Reads messages. Times in the frames are Datetime("us", "UTC"), lists are JSON text."""

from __future__ import annotations

import polars as pl
from psycopg import sql

from sinks.connection import session
from sinks.newest import Depths
from sinks.queries.selection import MessageSelection
from sinks.queries.stored import read


def last(conninfo: str, selection: MessageSelection, limit: int) -> pl.DataFrame:
    """The last `limit` selected messages, oldest first.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    query = sql.SQL("""
SELECT * FROM (
    SELECT {columns} FROM {table} WHERE {conditions}
        AND ts >= coalesce(%(start)s, '-infinity'::timestamptz) AND ts < coalesce(%(end)s, 'infinity'::timestamptz)
        AND ts >= coalesce(to_timestamp(%(floor)s::double precision / 1000), '-infinity'::timestamptz)
    ORDER BY ts DESC, source_offset DESC LIMIT %(limit)s
) AS newest ORDER BY ts, source_offset""").format(
        columns=sql.SQL(", ").join(selection.columns),
        table=sql.Identifier(selection.table),
        conditions=sql.SQL(" AND ").join([sql.SQL("true"), *selection.conditions()]),
    )
    start, end = (None if at is None else at.timestamp() * 1000 for at in (selection.start, selection.end))
    found = pl.DataFrame()
    with session(conninfo, read_only=True) as connection:
        for floor in Depths.of(connection, [selection.table]).floors(selection.table, end):
            span = {"start": selection.start, "end": selection.end, "floor": floor}
            found = read(connection, query, {**span, "limit": limit})
            if found.height >= limit or (start is not None and floor is not None and floor <= start):
                break
    return found
