"""The data of a chart: stored or longer bars, counts of signals per bar, and features at the end of bars.

Every query covers a time range that ends with an existing bar and holds a bounded number of bars. So nights and
weekends cost nothing, and scrolling into the past costs what it shows. Times are Unix milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from psycopg import sql

from contracts.duration import parse_duration
from sinks.queries.live import Bar, LiveReader, Series, epoch_ms
from sinks.schema.hypertables import Edition
from sinks.schema.tables import ROLLUPS, rollup_query

_NS_PER_MS: Final = 1_000_000
_MOST_SUMMED: Final = 30_000  # bars that one query aggregates, where rollups are not materialized
_MOST_SIGNALS: Final = 10_000  # newest ones that one query counts

ROLLUP_LENGTHS: Final = {rollup.view.removeprefix("bars_"): rollup for rollup in ROLLUPS}


class Chart(NamedTuple):
    """What a chart shows.

    Attributes:
        rollup: the length of its bars, one of ROLLUP_LENGTHS; empty for the bars of the series itself.
        features: names of columns of table `features`.
    """

    series: Series
    rollup: str = ""
    features: tuple[str, ...] = ()

    @property
    def window(self) -> int:
        """The length of its bars, in milliseconds."""
        return milliseconds(self.rollup or self.series.interval)


class Mark(NamedTuple):
    """A count of `signals` of a name in the bar that starts at `time`; `direction` is the sign of their values."""

    time: int
    name: str
    adapter: str
    direction: int | None
    signals: int


class ChartRows(NamedTuple):
    """All oldest first. A row of `features` is the start of a bar and the chart's features at its end."""

    bars: Sequence[Bar] = ()
    marks: Sequence[Mark] = ()
    features: Sequence[tuple[Any, ...]] = ()


# The time bounds are values, not columns, so that TimescaleDB excludes the chunks beyond them, and their locks.
_WITHIN: Final = sql.SQL("""
(t.provider, t.symbol, t."interval") = (%(provider)s, %(symbol)s, %(interval)s)
    AND {time} >= to_timestamp(%(start)s::double precision / 1000)
    AND {time} < to_timestamp(%(end)s::double precision / 1000)""")
_TS_WITHIN: Final = _WITHIN.format(time=sql.Identifier("ts"))

_LONGER: Final = sql.SQL(
    "SELECT {time}, open, high, low, close, volume, vwap, trades, 0 FROM {rollup} AS t ORDER BY bucket"
)

# Signals and features have the time of the end of a bar of the series, which begins within a bar of the chart.
_START: Final = sql.SQL("(floor((extract(epoch FROM ts) * 1000 - %(base)s) / %(window)s) * %(window)s)::bigint")

_MARKS: Final = sql.SQL("""
SELECT {start}, name, adapter, sign(value)::integer, count(*)
FROM (SELECT * FROM signals AS t WHERE {within} ORDER BY ts DESC LIMIT %(limit)s) AS t
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4""").format(start=_START, within=_TS_WITHIN)

_FEATURES: Final = sql.SQL("SELECT {start}, {names} FROM features AS t WHERE {within} ORDER BY ts")

# The last row of each bar, found by the key: a scan would cost all rows of the bar.
_LAST_FEATURES: Final = sql.SQL("""
SELECT bar.start, {names} FROM unnest(%(times)s::bigint[]) AS bar (start), LATERAL (
    SELECT * FROM features AS t
    WHERE {within} AND ts >= to_timestamp((bar.start + %(base)s) / 1000.0)
        AND ts < to_timestamp((bar.start + %(window)s + %(base)s) / 1000.0)
    ORDER BY ts DESC LIMIT 1
) AS t ORDER BY 1""")


def milliseconds(length: str) -> int:
    """The milliseconds of a duration such as `2s`."""
    return parse_duration(length) // _NS_PER_MS


class ChartReader:
    """Reads charts over the connection of a LiveReader."""

    def __init__(self, reader: LiveReader) -> None:
        self._reader: Final = reader

    def read(self, chart: Chart, limit: int, before: int | None = None) -> ChartRows:
        """Returns the newest bars before `before`, perhaps fewer than `limit`, with their signals and features.

        An empty result means that there are no more bars.

        Raises:
            StoreUnavailable: the database is unavailable.
        """
        bars = self._longer_bars(chart, limit, before) if chart.rollup else self._bars(chart, limit, before)
        if not bars:
            return ChartRows()
        base = milliseconds(chart.series.interval)
        span = {"start": bars[0].time + base, "end": bars[-1].time + chart.window + base}
        marks = self._rows(_MARKS, chart, **span, limit=_MOST_SIGNALS)
        features = (
            self._rows(_features(chart), chart, **span, times=[bar.time for bar in bars]) if chart.features else ()
        )
        return ChartRows(bars, [Mark(*row) for row in marks], features)

    def _bars(self, chart: Chart, limit: int, before: int | None) -> list[Bar]:
        return self._reader.bars([chart.series], limit, before)[chart.series]

    def _longer_bars(self, chart: Chart, limit: int, before: int | None) -> list[Bar]:
        if before is not None:
            before = before // chart.window * chart.window
        newest = self._bars(chart, 1, before)
        if not newest:
            return []
        is_materialized = self._reader.edition is Edition.COMMUNITY
        if not is_materialized:
            limit = min(limit, max(2, _MOST_SUMMED * milliseconds(chart.series.interval) // chart.window))
        end = (newest[0].time // chart.window + 1) * chart.window
        query = _longer(chart.rollup, is_materialized=is_materialized)
        return [Bar(*row) for row in self._rows(query, chart, start=end - limit * chart.window, end=end)]

    def _rows(self, query: sql.Composed, chart: Chart, **parameters: Any) -> list[tuple[Any, ...]]:
        lengths = {"base": milliseconds(chart.series.interval), "window": chart.window}
        return self._reader.rows(query, {**chart.series._asdict(), **lengths, **parameters}, by_key=True)


def _longer(length: str, *, is_materialized: bool) -> sql.Composed:
    rollup = ROLLUP_LENGTHS[length]
    if is_materialized:
        rows = sql.SQL("(SELECT * FROM {view} AS t WHERE {within})").format(
            view=sql.Identifier(rollup.view), within=_WITHIN.format(time=sql.Identifier("bucket"))
        )
    else:  # the bounds must be on the aggregated bars: on the view they would not use the key
        bars = sql.SQL("(SELECT * FROM bars_ohlcv AS t WHERE {within}) AS bars").format(
            within=_WITHIN.format(time=sql.Identifier("window_start"))
        )
        summed = rollup_query(rollup.bucket, timescale=False, source="{bars}")
        rows = sql.SQL("({summed})").format(summed=sql.SQL(summed).format(bars=bars))
    return _LONGER.format(time=epoch_ms("bucket"), rollup=rows)


def _features(chart: Chart) -> sql.Composed:
    names = sql.SQL(", ").join(sql.Identifier(name) for name in chart.features)
    query = _LAST_FEATURES if chart.rollup else _FEATURES
    return query.format(start=_START, names=names, within=_TS_WITHIN)
