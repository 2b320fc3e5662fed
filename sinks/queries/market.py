"""The market overview: the last price, change and volume of all series. Times are Unix milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl
from psycopg import sql

from sinks.merge import SERIES
from sinks.queries.live import Bar, LiveReader, Series
from sinks.queries.series import of_table

VOLUMES: Final = pl.Schema({"slot": pl.Int64, **dict.fromkeys(SERIES, pl.String), "volume": pl.Float64})

_WITHIN: Final = sql.SQL(
    "window_start >= to_timestamp(%(start)s::double precision / 1000)"
    " AND window_start < to_timestamp(%(end)s::double precision / 1000)"
)

# Found by the key. The time bounds are values, so that TimescaleDB excludes the chunks beyond them.
_FIRST: Final = sql.SQL("""
SELECT series.provider, series.symbol, series."interval", bar.open FROM {series}, LATERAL (
    SELECT open FROM bars_ohlcv AS t
    WHERE (t.provider, t.symbol, t."interval") = (series.provider, series.symbol, series."interval") AND {within}
    ORDER BY window_start LIMIT 1
) AS bar WHERE series.provider = %(provider)s""").format(series=of_table("bars_ohlcv"), within=_WITHIN)

# Scanned by time: rows close in time are stored together, rows of a series are not.
_VOLUMES: Final = sql.SQL("""
SELECT floor(extract(epoch FROM window_start) * 1000 / %(length)s)::bigint, provider, symbol, "interval", sum(volume)
FROM bars_ohlcv WHERE {within} AND provider = %(provider)s GROUP BY 1, 2, 3, 4""").format(within=_WITHIN)


class MarketReader:
    """Reads over the connection of a LiveReader, and raises StoreUnavailable like it."""

    def __init__(self, reader: LiveReader) -> None:
        self._reader: Final = reader

    def newest(self, series: Sequence[Series]) -> dict[Series, Bar]:
        """The newest bar of each series that has one."""
        return {one: bars[0] for one, bars in self._reader.bars(series, 1).items() if bars}

    def first(self, provider: str, start: int, end: int) -> dict[Series, float]:
        """The open of the first bar between two times, for each series of the provider that has one."""
        rows = self._reader.rows(_FIRST, {"provider": provider, "start": start, "end": end})
        return {Series(*key): price for *key, price in rows}

    def volumes(self, provider: str, first: int, last: int, length: int) -> pl.DataFrame:
        """The volume in each time slot from `first` to `last`, of `length` milliseconds each: rows of VOLUMES."""
        span = {"start": first * length, "end": (last + 1) * length}
        rows = self._reader.rows(_VOLUMES, {"provider": provider, "length": length, **span})
        return pl.DataFrame(rows, VOLUMES, orient="row")
