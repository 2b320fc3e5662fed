"""Reads gaps in what connectors have taken in: of each the last that is known."""

from __future__ import annotations

from datetime import datetime

import polars as pl
from psycopg import sql

from contracts.payloads.gap import GAP_V1
from sinks.connection import session
from sinks.queries.stored import read

_GAPS = sql.SQL("""
SELECT * FROM (
    SELECT DISTINCT ON (gap_id) source_id, stream, symbol, begin, "end", from_sequence, to_sequence, filled, reason,
        detail, connector, gap_id
    FROM {table}
    WHERE (%(symbol)s::text IS NULL OR symbol = %(symbol)s) AND (%(source)s::text IS NULL OR source_id = %(source)s)
        AND ts >= coalesce(%(start)s, '-infinity'::timestamptz) AND ts < coalesce(%(end)s, 'infinity'::timestamptz)
    ORDER BY gap_id, ingest_ts DESC, source_offset DESC
) AS last
WHERE NOT (filled AND %(open)s)
ORDER BY begin DESC, source_id, stream, symbol LIMIT %(limit)s""")


def gaps(
    conninfo: str,
    *,
    symbol: str | None = None,
    source: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    only_open: bool = False,
    limit: int = 1_000,
) -> pl.DataFrame:
    """The last `limit` gaps that begin within a span, oldest first.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    parameters = {"symbol": symbol, "source": source, "start": start, "end": end, "open": only_open, "limit": limit}
    query = _GAPS.format(table=sql.Identifier(str(GAP_V1.table)))
    with session(conninfo, read_only=True) as connection:
        return read(connection, query, parameters).reverse()
