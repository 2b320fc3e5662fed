"""The tables, as numbered migrations that are each applied once. A released migration is never edited."""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class Migration(NamedTuple):
    """SQL that upgrades the schema from the previous version."""

    version: int
    name: str
    sql: str


CAUSE: Final = """
    partition integer NOT NULL,
    source_topic text NOT NULL,
    source_offset bigint NOT NULL,
    source_row integer NOT NULL"""

_RESULTS: Final = f"""
CREATE TABLE bars_ohlcv (
    provider text NOT NULL,
    symbol text NOT NULL,
    "interval" text NOT NULL,
    window_start timestamptz NOT NULL,
    window_end timestamptz NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    vwap double precision,
    trades bigint NOT NULL,
    revision integer NOT NULL,{CAUSE},
    PRIMARY KEY (provider, symbol, "interval", window_start),
    CHECK (window_start < window_end)
);
CREATE TABLE features (
    provider text NOT NULL,
    symbol text NOT NULL,
    "interval" text NOT NULL,
    ts timestamptz NOT NULL,{CAUSE},
    PRIMARY KEY (provider, symbol, "interval", ts)
);
CREATE TABLE signals (
    signal_id text NOT NULL,
    provider text NOT NULL,
    symbol text NOT NULL,
    "interval" text NOT NULL,
    ts timestamptz NOT NULL,
    name text NOT NULL,
    value double precision,
    score double precision,
    adapter text NOT NULL,
    meta jsonb,{CAUSE},
    PRIMARY KEY (provider, symbol, "interval", ts, name, adapter)
);
"""

_OPERATIONS: Final = """
CREATE TABLE job_runs (
    run_id uuid PRIMARY KEY,
    flow text NOT NULL,
    status text NOT NULL CHECK (status IN ('running', 'finished', 'stopped', 'failed')),
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    config jsonb NOT NULL,
    error text,
    counts jsonb
);
CREATE TABLE progress (
    flow text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    accepted bigint NOT NULL,
    amending bigint NOT NULL,
    duplicate bigint NOT NULL,
    late bigint NOT NULL,
    rejected bigint NOT NULL,
    heartbeat bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (flow, topic, partition)
);
"""

_LATE_REPAIRS: Final = """
CREATE TABLE late_repairs (
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    repaired_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, "offset")
);
"""

_FLOW_TOPICS: Final = """
CREATE TABLE flow_topics (
    flow text NOT NULL,
    topic text NOT NULL,
    topic_id text NOT NULL,
    PRIMARY KEY (flow, topic)
);
"""

_SERIES: Final = """
CREATE TABLE series (
    relation text NOT NULL,
    provider text NOT NULL,
    symbol text NOT NULL,
    "interval" text NOT NULL,
    PRIMARY KEY (relation, provider, symbol, "interval")
);
INSERT INTO series SELECT DISTINCT 'bars_ohlcv', provider, symbol, "interval" FROM bars_ohlcv;
INSERT INTO series SELECT DISTINCT 'features', provider, symbol, "interval" FROM features;
INSERT INTO series SELECT DISTINCT 'signals', provider, symbol, "interval" FROM signals;
"""

# It is unknown where existing flows began: the default is the first record, as for most flows.
_BEGINNINGS: Final = """
ALTER TABLE progress ADD COLUMN first_offset bigint NOT NULL DEFAULT 0, ADD COLUMN again_from bigint;
"""

# Whose tables are in a schema of their own, by the same migrations.
_RUNS: Final = """
CREATE TABLE runs (
    name text PRIMARY KEY,
    flow text NOT NULL,
    topic text NOT NULL,
    "interval" text NOT NULL,
    range_start timestamptz,
    range_end timestamptz,
    status text NOT NULL CHECK (status IN ('running', 'finished', 'stopped', 'failed')),
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    version text NOT NULL,
    fingerprint text NOT NULL,
    config jsonb NOT NULL,
    counts jsonb,
    error text
);
"""

_SIDES: Final = """
ALTER TABLE bars_ohlcv ADD COLUMN buy_volume double precision, ADD COLUMN sell_volume double precision;
"""

MIGRATIONS: Final = (
    Migration(1, "bars, features and signals", _RESULTS),
    Migration(2, "job runs and progress", _OPERATIONS),
    Migration(3, "late repairs", _LATE_REPAIRS),
    Migration(4, "topics that flows have read", _FLOW_TOPICS),
    Migration(5, "series that have rows", _SERIES),
    Migration(6, "where flows have begun, and from where they have to read again", _BEGINNINGS),
    Migration(7, "runs of a range", _RUNS),
    Migration(8, "volume by side", _SIDES),
)

TABLES: Final = tuple(table for step in MIGRATIONS for table in re.findall(r"CREATE TABLE (\w+)", step.sql))


class Managed(NamedTuple):
    """A table whose rows have a time, by which TimescaleDB cuts it, compresses and drops its rows.

    Attributes:
        segment_by: the columns whose values the columnstore keeps together, and `order_by` their order there.
        is_of_flow: whether the length of a window says how long its chunks should be.
    """

    name: str
    time: str
    segment_by: str
    order_by: str
    is_of_flow: bool = True


_SERIES_COLUMNS: Final = 'provider, symbol, "interval"'

RESULTS: Final = (
    Managed("bars_ohlcv", "window_start", _SERIES_COLUMNS, "window_start"),
    Managed("features", "ts", _SERIES_COLUMNS, "ts"),
    Managed("signals", "ts", _SERIES_COLUMNS, "ts, name, adapter"),
)
TIME_COLUMN: Final = {table.name: table.time for table in RESULTS}


class Rollup(NamedTuple):
    """Bars of a longer interval, for each base interval that divides it. Offsets exclude buckets that still change."""

    view: str
    bucket: str
    end_offset: str
    schedule: str


ROLLUPS: Final = (
    Rollup("bars_1m", "1 minute", "2 minutes", "1 minute"),
    Rollup("bars_5m", "5 minutes", "10 minutes", "5 minutes"),
    Rollup("bars_1h", "1 hour", "2 hours", "30 minutes"),
)


def rollup_query(bucket: str, *, timescale: bool, source: str = "bars_ohlcv") -> str:
    """SQL for bars of `bucket` length from those of `source`: first open, last close, vwap weighted by volume.

    The TimescaleDB form is one that a continuous aggregate can maintain. Both forms give bit-identical rows, as they
    sum in time order. The vwap is clamped to the prices' range against rounding.
    """
    if timescale:
        start = f"time_bucket(INTERVAL '{bucket}', window_start)"
        first, last = "first(open, window_start)", "last(close, window_start)"
    else:
        start = f"date_bin(INTERVAL '{bucket}', window_start, TIMESTAMPTZ '1970-01-01 00:00:00+00')"
        first = "(array_agg(open ORDER BY window_start))[1]"
        last = "(array_agg(close ORDER BY window_start DESC))[1]"
    volume = "sum(volume ORDER BY window_start)"
    vwap = f"sum(vwap * volume ORDER BY window_start) / nullif({volume}, 0)"
    return f"""
SELECT provider, symbol, "interval", {start} AS bucket,
    {first} AS open, max(high) AS high, min(low) AS low, {last} AS close, {volume} AS volume,
    CASE WHEN sum(volume) > 0 THEN least(greatest({vwap}, min(low)), max(high)) END AS vwap,
    sum(trades)::bigint AS trades,
    sum(buy_volume ORDER BY window_start) AS buy_volume, sum(sell_volume ORDER BY window_start) AS sell_volume
FROM {source}
WHERE mod(extract(epoch FROM INTERVAL '{bucket}'), extract(epoch FROM window_end - window_start)) = 0
GROUP BY provider, symbol, "interval", {start}"""  # noqa: S608  both are constants of this program
