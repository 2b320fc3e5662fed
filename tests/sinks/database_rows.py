"""Batches and stored rows for the tests of the database side."""

from __future__ import annotations

from typing import Any

import polars as pl
import psycopg

from contracts import frames
from contracts.batch import MicroBatch, Outcomes
from sinks.timescale import TimescaleWriter

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND
NOTHING = Outcomes()


def bar(symbol: str = "AAPL", k: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "provider": "sim",
        "symbol": symbol,
        "interval": "2s",
        "window_start": T0 + k * 2 * SECOND,
        "window_end": T0 + (k + 1) * 2 * SECOND,
        "open": 10.0,
        "high": 12.0,
        "low": 9.0,
        "close": 11.0,
        "volume": 5.0,
        "vwap": 10.5,
        "buy_volume": 3.0,
        "sell_volume": None,
        "trades": 3,
        "revision": 0,
        "offset": k,
        "row": 0,
    } | changes


def signal(symbol: str = "AAPL", k: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "signal_id": f"sim|{symbol}|{k}",
        "provider": "sim",
        "symbol": symbol,
        "interval": "2s",
        "ts": T0 + k * 2 * SECOND,
        "name": "cross",
        "value": 1.0,
        "score": 0.5,
        "adapter": "rules",
        "meta": "{}",
        "offset": k,
        "row": 0,
    } | changes


def feature(symbol: str = "AAPL", k: int = 0, **values: float | None) -> dict[str, Any]:
    made_at = {name: value for name, value in bar().items() if name in frames.BAR_VALUES}
    key = {"provider": "sim", "symbol": symbol, "interval": "2s", "ts": T0 + k * 2 * SECOND}
    return key | made_at | {"offset": k, "row": 0} | values


def batch(
    *,
    bars: list[dict[str, Any]] | None = None,
    features: list[dict[str, Any]] | None = None,
    signals: list[dict[str, Any]] | None = None,
    names: tuple[str, ...] = (),
    topic: str = "ticks",
    partition: int = 0,
    next_offset: int = 1,
    outcomes: Outcomes = NOTHING,
) -> MicroBatch:
    results = {
        "bars": pl.DataFrame(bars or [], schema=frames.BARS),
        "signals": pl.DataFrame(signals or [], schema=frames.SIGNALS),
    }
    if features:
        results["features"] = pl.DataFrame(features, schema=frames.features_schema(names))
    return MicroBatch(topic=topic, partition=partition, next_offset=next_offset, outcomes=outcomes, results=results)


def select(database: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(query.encode()).fetchall()


def get_ahead(database: str, writer: TimescaleWriter) -> None:
    """A flush of nothing but new rows, of which nothing is left."""
    writer.write([batch(bars=[bar("NEW")], partition=99, next_offset=0)])
    with psycopg.connect(database) as connection:
        connection.execute("DELETE FROM bars_ohlcv WHERE symbol = 'NEW'")
        connection.execute("DELETE FROM progress WHERE partition = 99")


def everything(database: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows with the transactions that wrote them, so that a rewritten row is told from an untouched one.

    Rows in the columnstore, where TimescaleDB may move them at any time, have none.
    """
    tables = ("bars_ohlcv", "features", "signals", "progress")
    try:
        return {table: _rows(database, f"SELECT ctid::text, xmin::text, * FROM {table}") for table in tables}
    except psycopg.errors.InvalidColumnReference:
        return {table: _rows(database, f"SELECT * FROM {table}") for table in tables}


def _rows(database: str, query: str) -> list[tuple[Any, ...]]:
    return sorted(select(database, query), key=str)
