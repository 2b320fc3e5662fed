"""The columns of every frame that crosses from one step to the next.

Times are int64 nanoseconds since the Unix epoch, UTC. `offset` and `row` say which row of the log caused a row:
the Kafka offset, and the position inside the record (0 but for Arrow batches). Rows are in (offset, row) order.
"""

from __future__ import annotations

from typing import Final

import polars as pl

CAUSE: Final = {"offset": pl.Int64, "row": pl.Int64}

EVENTS: Final = pl.Schema(
    {
        "record": pl.Int64,  # index into MicroBatch.payloads
        **CAUSE,
        "provider": pl.String,
        "symbol": pl.String,
        "kind": pl.String,  # tick | bar | heartbeat
        "src_ts": pl.Int64,
        "o": pl.Float64,
        "h": pl.Float64,
        "l": pl.Float64,
        "c": pl.Float64,
        "v": pl.Float64,
        "seq": pl.Int64,
        "event_id": pl.String,
    }
)

# Rows of the log that go to the DLQ or the late topic, as they came. Where a record leaves once for several of its
# rows, the cause is the first of them, and `rows` holds them all (codec.refused.row_set); else it is null. Of what
# is too large only the beginning is there, and `stub` says of what (codec.stubs.Stub).
REFUSED: Final = pl.Schema(
    {
        **CAUSE,
        "reason": pl.String,
        "error": pl.String,
        "content_type": pl.String,
        "key": pl.Binary,
        "value": pl.Binary,
        "rows": pl.Binary,
        "stub": pl.Binary,
    }
)

HEARTBEATS: Final = pl.Schema({"provider": pl.String, "src_ts": pl.Int64})

BAR_KEY: Final = ("provider", "symbol", "interval", "window_start")
BARS: Final = pl.Schema(
    {
        "provider": pl.String,
        "symbol": pl.String,
        "interval": pl.String,
        "window_start": pl.Int64,
        "window_end": pl.Int64,
        "open": pl.Float64,
        "high": pl.Float64,
        "low": pl.Float64,
        "close": pl.Float64,
        "volume": pl.Float64,
        "vwap": pl.Float64,  # null when volume is 0
        "trades": pl.Int64,
        "revision": pl.Int64,  # 0: the close of its window; n: its n-th amendment
        **CAUSE,
    }
)

BAR_VALUES: Final = ("open", "high", "low", "close", "volume", "vwap", "trades")
FEATURE_KEY: Final = ("provider", "symbol", "interval", "ts")  # ts is the end of the window


def features_schema(names: tuple[str, ...]) -> pl.Schema:
    """Columns of a features frame: key, the configured features, the bar they were made at, and the cause."""
    key: dict[str, pl.DataType] = {"ts": pl.Int64(), **{name: BARS[name] for name in FEATURE_KEY if name != "ts"}}
    values = {name: BARS[name] for name in (*BAR_VALUES, *CAUSE)}
    return pl.Schema({**{name: key[name] for name in FEATURE_KEY}, **dict.fromkeys(names, pl.Float64()), **values})


SIGNAL_KEY: Final = ("provider", "symbol", "interval", "ts", "name", "adapter")
SIGNALS: Final = pl.Schema(
    {
        "signal_id": pl.String,
        "provider": pl.String,
        "symbol": pl.String,
        "interval": pl.String,
        "ts": pl.Int64,
        "name": pl.String,
        "value": pl.Float64,
        "score": pl.Float64,
        "adapter": pl.String,
        "meta": pl.String,  # JSON object
        **CAUSE,
    }
)
