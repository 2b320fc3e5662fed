"""Features frames for the tests of inference."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from contracts import frames
from contracts.batch import MicroBatch

SECOND = 1_000_000_000
WINDOW = 2 * SECOND


def features(
    rows: Sequence[Mapping[str, Any]], names: Sequence[str] = ("momentum", "volatility", "rsi")
) -> pl.DataFrame:
    """Rows of one partition; what a row does not say is null or the same in all of them."""
    schema = frames.features_schema(tuple(names))
    usual = {"provider": "p", "symbol": "SPY", "interval": "2s", "close": 100.0, "trades": 1, "row": 0}
    full = [{**usual, "ts": (at + 1) * WINDOW, "offset": at, **row} for at, row in enumerate(rows)]
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in full], schema=schema)


def batch(frame: pl.DataFrame | None, *, provisional: bool = False) -> MicroBatch:
    results = {} if frame is None else {"features": frame}
    return MicroBatch(topic="events", partition=0, next_offset=0, results=results, provisional=provisional)
