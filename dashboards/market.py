"""Bars as candles with their signals, from the database."""

from __future__ import annotations

from typing import Final

from dashboards.sql import SIGNAL, Panel, candlesticks, counts, rows
from sinks.schema.tables import ROLLUPS

BARS: Final = {"windows": "bars_ohlcv", **{rollup.bucket: rollup.view for rollup in ROLLUPS}}
_MOST: Final = 10_000  # candles that a browser can draw

# The condition of the dashboard's variables, for any table.
_PROVIDER: Final = 'provider = ${provider:sqlstring} AND "interval" = ${interval:sqlstring}'
_SERIES: Final = f"{_PROVIDER} AND symbol = ${{symbol:sqlstring}}"

# The start of a bar is the fourth column, whatever it is called in the table of bars and in its rollups.
_CHOSEN: Final = f"""\
SELECT * FROM ${{bars:raw}} AS bar (provider, symbol, "interval", start)
  WHERE {_SERIES} AND $__timeFilter(start)
  ORDER BY start DESC LIMIT {_MOST}"""

_CASES: Final = " ".join(f"WHEN '{rollup.view}' THEN INTERVAL '{rollup.bucket}'" for rollup in ROLLUPS)
_LENGTH: Final = f"""CASE ${{bars:sqlstring}} {_CASES} ELSE "interval"::interval END"""

# A signal has the time of its window's end: the moment before is in its bar.
_CANDLES: Final = f"""\
WITH bar AS (
  {_CHOSEN}
), signalled AS (
  SELECT DISTINCT date_bin({_LENGTH}, ts - INTERVAL '1 microsecond', TIMESTAMPTZ 'epoch') AS start
  FROM signals WHERE {_SERIES} AND $__timeFilter(ts)
)
SELECT start AS "time", open, high, low, close, volume, vwap,
  CASE WHEN signalled.start IS NOT NULL THEN close END AS "{SIGNAL}"
FROM bar LEFT JOIN signalled USING (start) ORDER BY start"""

_SIGNALS: Final = f"""\
SELECT ts AS "time", name, value, score, adapter, (meta ->> 'price')::double precision AS price
FROM signals WHERE {_SERIES} AND $__timeFilter(ts)
ORDER BY ts DESC, name, adapter LIMIT 500"""

_SIGNAL_COUNTS: Final = f"""\
SELECT date_bin('$__interval', ts, TIMESTAMPTZ 'epoch') AS "time", name AS metric, count(*) AS value
FROM signals WHERE {_PROVIDER} AND $__timeFilter(ts)
GROUP BY 1, 2 ORDER BY 1, 2"""

# Each feature is a column of its own, named by the config.
_FEATURES: Final = f"""\
SELECT feature.key AS feature, feature.value::double precision AS value, newest.ts AS "time"
FROM (SELECT * FROM features WHERE {_SERIES} AND $__timeFilter(ts) ORDER BY ts DESC LIMIT 1) AS newest,
  jsonb_each_text(to_jsonb(newest) - ARRAY[
    'provider', 'symbol', 'interval', 'ts', 'partition', 'source_topic', 'source_offset', 'source_row'
  ]) AS feature
ORDER BY feature.key"""

_TRADES: Final = f"""\
WITH bar AS (
  {_CHOSEN}
)
SELECT start AS "time", 'trades' AS metric, trades AS value FROM bar ORDER BY start"""

PANELS: Final[list[Panel]] = [
    candlesticks(
        "Candles",
        f"Of one symbol, with volume and vwap; a blue point where there are signals. The newest {_MOST:,} at most: "
        "for a long time choose longer bars.",
        _CANDLES,
    ),
    rows("Signals", "Of this symbol in the time shown, newest first; the price is the close of the bar.", _SIGNALS),
    counts("Signals by name", "short", "Of all symbols of the provider.", _SIGNAL_COUNTS),
    rows(
        "Features", "The newest of this symbol in the time shown; empty where there is too little history.", _FEATURES
    ),
    counts("Trades", "short", "Events in each bar.", _TRADES),
]
