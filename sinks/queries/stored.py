"""Reads results. Times in the frames are Datetime("us", "UTC"); every call opens a connection and closes it.

All functions raise `StoreUnavailable` if the database cannot be reached.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import polars as pl
import psycopg
from psycopg import sql
from psycopg.types.string import TextLoader

from sinks.connection import session
from sinks.newest import Depths
from sinks.progress import COUNTS
from sinks.queries import series
from sinks.queries.selection import Selection
from sinks.schema.tables import TIME_COLUMN

_TYPES: Final[dict[int, Any]] = {  # by the server's fixed type ids
    16: pl.Boolean,
    20: pl.Int64,
    23: pl.Int64,
    25: pl.String,
    701: pl.Float64,
    1184: pl.Datetime("us", "UTC"),
    3802: pl.String,
}


def bars(
    conninfo: str, symbol: str, start: datetime | None = None, end: datetime | None = None, limit: int = 1_000
) -> pl.DataFrame:
    """The last `limit` bars of `symbol` with start ≤ window_start < end, oldest first. Datetimes must be aware."""
    return last(conninfo, Selection("bars_ohlcv", symbol, start=start, end=end), limit)


def features(
    conninfo: str, symbol: str, start: datetime | None = None, end: datetime | None = None, limit: int = 1_000
) -> pl.DataFrame:
    """The last `limit` feature rows of `symbol` with start ≤ ts < end, oldest first."""
    return last(conninfo, Selection("features", symbol, start=start, end=end), limit)


def signals(
    conninfo: str, symbol: str, start: datetime | None = None, end: datetime | None = None, limit: int = 1_000
) -> pl.DataFrame:
    """The last `limit` signals of `symbol` with start ≤ ts < end, oldest first; `meta` is JSON text."""
    return last(conninfo, Selection("signals", symbol, start=start, end=end), limit)


def last(conninfo: str, selection: Selection, limit: int) -> pl.DataFrame:
    """The last `limit` selected rows, oldest first."""
    query = sql.SQL("""
SELECT * FROM (
    SELECT newest.* FROM {series}, LATERAL (
        SELECT * FROM {table} AS t
        WHERE (t.provider, t.symbol, t."interval") = (series.provider, series.symbol, series."interval")
            AND {time} >= coalesce(%(start)s, '-infinity'::timestamptz)
            AND {time} < coalesce(%(end)s, 'infinity'::timestamptz)
            AND {time} >= coalesce(to_timestamp(%(floor)s::double precision / 1000), '-infinity'::timestamptz)
        ORDER BY {time} DESC LIMIT %(limit)s
    ) AS newest ORDER BY {time} DESC, provider DESC, symbol DESC, "interval" DESC LIMIT %(limit)s
) AS rows ORDER BY {time}, provider, symbol, "interval"
""")
    table, time = sql.Identifier(selection.table), sql.Identifier(selection.time)
    query_of = query.format(series=selection.series, table=table, time=time)
    start, end = (None if at is None else at.timestamp() * 1000 for at in (selection.start, selection.end))
    with session(conninfo, read_only=True) as connection:
        for floor in Depths.of(connection).floors(selection.table, end):
            found = read(connection, query_of, {**selection.parameters, "limit": limit, "floor": floor})
            if found.height >= limit or (start is not None and floor is not None and floor <= start):
                break
        return found


def symbols(conninfo: str, provider: str | None = None, interval: str | None = None) -> pl.DataFrame:
    """All series, with the kinds of rows that each has: `bars`, `features`, `signals`."""
    query = sql.SQL("""
SELECT provider, symbol, "interval", string_agg(split_part(relation, '_', 1), ' ' ORDER BY relation) AS rows FROM series
WHERE (%(provider)s::text IS NULL OR provider = %(provider)s)
    AND (%(interval)s::text IS NULL OR "interval" = %(interval)s)
GROUP BY 1, 2, 3 ORDER BY 2, 1, 3""")
    return _frame(conninfo, query, {"provider": provider, "interval": interval})


def latest_bars(conninfo: str, limit: int = 1) -> pl.DataFrame:
    """The newest `limit` bars of every (provider, symbol, interval), newest first."""
    return _latest(conninfo, "bars_ohlcv", limit)


def latest_features(conninfo: str) -> pl.DataFrame:
    """The newest features of every (provider, symbol, interval)."""
    return _latest(conninfo, "features", 1)


def latest_signals(conninfo: str, limit: int = 5) -> pl.DataFrame:
    """The newest `limit` signals of every (provider, symbol, interval), newest first; `meta` is JSON text."""
    return _latest(conninfo, "signals", limit)


def _latest(conninfo: str, table: str, limit: int) -> pl.DataFrame:
    query = sql.SQL("""
SELECT newest.* FROM {series}, LATERAL (
    SELECT * FROM {table} AS t
    WHERE (t.provider, t.symbol, t."interval") = (series.provider, series.symbol, series."interval")
    ORDER BY {time} DESC LIMIT %(limit)s
) AS newest ORDER BY provider, symbol, "interval", {time} DESC
""").format(series=series.of_table(table), table=sql.Identifier(table), time=sql.Identifier(TIME_COLUMN[table]))
    return _frame(conninfo, query, {"limit": limit})


def totals(conninfo: str) -> dict[str, int]:
    """Exact row counts by table. Counting takes time on large tables: for reports, not for a live view."""
    query = sql.SQL("""
SELECT 'bars_ohlcv' AS name, count(*) AS rows FROM bars_ohlcv
UNION ALL SELECT 'features', count(*) FROM features
UNION ALL SELECT 'signals', count(*) FROM signals""")
    return dict(_frame(conninfo, query, {}).iter_rows())


def bar_sums(conninfo: str) -> dict[str, int]:
    """Sums of `trades` and `revision` over all bars: the events in the bars, and the events that amended them."""
    query = sql.SQL(
        "SELECT coalesce(sum(trades), 0)::bigint AS trades, coalesce(sum(revision), 0)::bigint AS revision"
        " FROM bars_ohlcv"
    )
    return dict(_frame(conninfo, query, {}).row(0, named=True))


def progress_totals(conninfo: str) -> pl.DataFrame:
    """One row per flow: its number of partitions, the sums of their outcomes, and the time of the last write."""
    sums = sql.SQL(", ").join(sql.SQL("sum({0})::bigint AS {0}").format(sql.Identifier(name)) for name in COUNTS)
    query = sql.SQL(
        "SELECT flow, count(*) AS partitions, {}, max(updated_at) AS updated_at FROM progress"
        " GROUP BY flow ORDER BY flow"
    )
    return _frame(conninfo, query.format(sums), {})


def progress_of(conninfo: str, flow: str) -> dict[str, int]:
    """The sums of one flow's outcomes over its partitions; zeros before its first write."""
    sums = sql.SQL(", ").join(sql.SQL("coalesce(sum({0}), 0)::bigint AS {0}").format(sql.Identifier(n)) for n in COUNTS)
    query = sql.SQL("SELECT {} FROM progress WHERE flow = %(flow)s").format(sums)
    return dict(_frame(conninfo, query, {"flow": flow}).row(0, named=True))


def job_runs(conninfo: str, limit: int = 20) -> pl.DataFrame:
    """The last `limit` runs, newest first; `config` and `counts` are JSON text."""
    query = sql.SQL(
        "SELECT run_id::text, flow, status, started_at, finished_at, error, config, counts"
        " FROM job_runs ORDER BY started_at DESC LIMIT %(limit)s"
    )
    return _frame(conninfo, query, {"limit": limit})


def _frame(conninfo: str, query: sql.SQL | sql.Composed, parameters: dict[str, Any]) -> pl.DataFrame:
    with session(conninfo, read_only=True) as connection:
        return read(connection, query, parameters)


def read(connection: psycopg.Connection, query: sql.SQL | sql.Composed, parameters: dict[str, Any]) -> pl.DataFrame:
    """What a query answers, in a transaction of the connection; `jsonb` is JSON text."""
    connection.adapters.register_loader("jsonb", TextLoader)
    cursor = connection.execute(query, parameters)
    schema = {column.name: _TYPES[column.type_code] for column in cursor.description or ()}
    return pl.DataFrame(cursor.fetchall(), schema=schema, orient="row")
