"""The columns of every frame that is passed between steps.

Times are int64 nanoseconds since the Unix epoch, UTC. `offset` and `row` identify the row of the log that caused a row:
the Kafka offset, and the position inside the record (0 except in Arrow batches). Rows are in (offset, row) order.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from contracts.bar import Bar
from contracts.columns import joined, polars_schema
from contracts.event import OF_BARS, TICK, WIRE
from contracts.signal import Signal

CAUSE: Final = {"offset": pl.Int64, "row": pl.Int64}

BUY: Final = 1  # as the side of an event: who took liquidity
SELL: Final = 2

# What the contract has judged, without the interval, which was one of its rules; `side` is that of a trade, where it is
# told, as Event v1 does not.
EVENTS: Final = joined(
    {"record": pl.Int64},  # index into MicroBatch.payloads
    CAUSE,
    {name: dtype for name, dtype in WIRE.items() if name in (*TICK, *OF_BARS) and name != "interval"},
    {"side": pl.Int8},
)

# Rows of the log that go to the DLQ or the late topic, as they came. Where a record leaves once for several of its
# rows, the cause is the first of them, and `rows` holds them all (codec.refused.row_set); else it is null. Of what
# is too large only the beginning is there, and `stub` says of what (codec.stubs.Stub). `time` is that of the event
# where it is one, else of the record; `trace` is the record's header traceparent, `packing` its headers on how the
# value is packed, as JSON.
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
        "time": pl.Int64,
        "trace": pl.Binary,
        "packing": pl.Binary,
    }
)

# Messages in envelopes, as they leave. `packing` are the headers that say how the value is packed, as JSON.
ENVELOPES: Final = pl.Schema(
    {
        **CAUSE,
        "key": pl.Binary,
        "value": pl.Binary,
        "message_id": pl.Binary,
        "partition_key": pl.Binary,
        "dedupe_key": pl.Binary,
        "trace": pl.Binary,
        "packing": pl.Binary,
    }
)

HEARTBEATS: Final = pl.Schema({"provider": pl.String, "src_ts": pl.Int64})

_OF_RECORDS: Final = ("ver", "partition")  # what rows of a batch have in common

BAR_KEY: Final = ("provider", "symbol", "interval", "window_start")
BARS: Final = joined({name: dtype for name, dtype in polars_schema(Bar).items() if name not in _OF_RECORDS}, CAUSE)

BAR_VALUES: Final = tuple(
    name for name in BARS if name not in (*BAR_KEY, "window_end", "revision", *CAUSE)
)  # which features and signals can use
FEATURE_KEY: Final = ("provider", "symbol", "interval", "ts")  # ts is the end of the window


def features_schema(names: tuple[str, ...]) -> pl.Schema:
    """Columns of a features frame: key, the configured features, their bar, and the cause."""
    key: dict[str, pl.DataType] = {"ts": pl.Int64(), **{name: BARS[name] for name in FEATURE_KEY if name != "ts"}}
    values = {name: BARS[name] for name in (*BAR_VALUES, *CAUSE)}
    return pl.Schema({**{name: key[name] for name in FEATURE_KEY}, **dict.fromkeys(names, pl.Float64()), **values})


SIGNAL_KEY: Final = ("provider", "symbol", "interval", "ts", "name", "adapter")
SIGNALS: Final = joined(
    {name: dtype for name, dtype in polars_schema(Signal).items() if name not in _OF_RECORDS}, CAUSE
)
