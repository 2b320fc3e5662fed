"""Queries of the live page, over one persistent read-only connection. Times are Unix milliseconds.

Only the newest rows of the requested series are read, along the primary key, so a query costs what it shows and not
what is stored. Small tables, `series` and `progress`, list the series and the flows' progress.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import sql
from psycopg.errors import UndefinedColumn, UndefinedTable

from contracts.batch import Outcomes
from contracts.errors import first_line
from contracts.frames import FEATURE_KEY
from sinks.connection import (
    OUT_OF_LOCKS_REMEDY,
    StoreUnavailable,
    connect,
    is_out_of_locks,
    settle_schema,
    transaction,
)
from sinks.merge import CAUSE
from sinks.missing_tables import MIGRATE
from sinks.newest import Depths
from sinks.progress import COUNTS
from sinks.queries.series import of_table
from sinks.schema.hypertables import Edition, edition_of, is_hypertable

_TIMEOUT_MS: Final = 10_000
_MOST_OF_SERIES: Final = 1_000  # signals that are searched for those of a name
_MOST_OF_ALL: Final = 20_000


class Series(NamedTuple):
    """The series that a bar belongs to."""

    provider: str
    symbol: str
    interval: str


class Bar(NamedTuple):
    """A bar; `time` is the start of its window."""

    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float | None
    trades: int
    revision: int


class Signal(NamedTuple):
    """A signal; `time` is the end of its window, `price` the price that the evaluator reports."""

    provider: str
    symbol: str
    interval: str
    time: int
    name: str
    adapter: str
    value: float | None
    score: float | None
    price: float | None


class FlowProgress(NamedTuple):
    """The progress of a flow: the sum of its offsets, its outcomes, and the seconds since it last wrote."""

    position: int
    outcomes: Outcomes
    age: float


def epoch_ms(column: str) -> sql.Composed:
    """SQL for a time column in Unix milliseconds."""
    return sql.SQL("(extract(epoch FROM {}) * 1000)::bigint").format(sql.Identifier(column))


_BARS: Final = sql.SQL("""
SELECT number, {time}, open, high, low, close, volume, vwap, trades, revision
FROM unnest(%(providers)s::text[], %(symbols)s::text[], %(intervals)s::text[]) WITH ORDINALITY
    AS asked (provider, symbol, "interval", number), LATERAL (
    SELECT * FROM bars_ohlcv AS t
    WHERE (t.provider, t.symbol, t."interval") = (asked.provider, asked.symbol, asked."interval")
        AND window_start < coalesce(to_timestamp(%(before)s::double precision / 1000), 'infinity'::timestamptz)
        AND window_start >= coalesce(to_timestamp(%(floor)s::double precision / 1000), '-infinity'::timestamptz)
    ORDER BY window_start DESC LIMIT %(limit)s
) AS newest ORDER BY number, window_start""").format(time=epoch_ms("window_start"))

_SIGNAL: Final = sql.SQL(
    'newest.provider, newest.symbol, newest."interval", {}, name, adapter, value, score,'
    " CASE jsonb_typeof(meta -> 'price') WHEN 'number' THEN (meta ->> 'price')::double precision END"
).format(epoch_ms("ts"))

_RECENT: Final = sql.SQL("""
SELECT {signal} FROM (
    SELECT newest.*, row_number() OVER (
        PARTITION BY newest.provider, name ORDER BY ts DESC, newest.symbol, newest."interval", adapter
    ) AS place
    FROM {series}, LATERAL (
        SELECT * FROM signals AS t
        WHERE (t.provider, t.symbol, t."interval") = (series.provider, series.symbol, series."interval")
            AND ts >= coalesce(to_timestamp(%(floor)s::double precision / 1000), '-infinity'::timestamptz)
        ORDER BY ts DESC LIMIT (SELECT greatest(%(limit)s, least(%(each)s, %(all)s / count(*))) FROM {series})
    ) AS newest
) AS newest WHERE place <= %(limit)s ORDER BY ts DESC, newest.provider, newest.symbol, name, adapter
""").format(series=of_table("signals"), signal=_SIGNAL)

_PROGRESS: Final = sql.SQL(
    "SELECT flow, sum(next_offset)::bigint, extract(epoch FROM now() - max(updated_at))::double precision, {}"
    " FROM progress GROUP BY flow"
).format(sql.SQL(", ").join(sql.SQL("sum({})::bigint").format(sql.Identifier(name)) for name in COUNTS))


def _remedy(error: psycopg.Error) -> str:
    if isinstance(error, UndefinedTable):
        return "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
    if isinstance(error, UndefinedColumn):
        return f"; {MIGRATE}"
    return f": {OUT_OF_LOCKS_REMEDY}" if is_out_of_locks(error) else ""


class LiveReader:
    """Reads the newest rows, and shares its connection with other queries. Not thread-safe.

    All methods raise StoreUnavailable if the database cannot be reached, has no tables yet, or refuses access.
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo: Final = conninfo
        self._connection: psycopg.Connection | None = None
        self._depths = Depths()
        self._edition: Edition | None = None

    def progress(self) -> dict[str, FlowProgress]:
        """The progress of each flow."""
        rows = self.rows(_PROGRESS, {})
        return {flow: FlowProgress(position, Outcomes(*counts), age) for flow, position, age, *counts in rows}

    def series(self) -> list[Series]:
        """All series with bars, in order."""
        query = sql.SQL('SELECT * FROM {} ORDER BY provider, symbol, "interval"').format(of_table("bars_ohlcv"))
        return [Series(*row) for row in self.rows(query, {})]

    def feature_names(self) -> list[str]:
        """The features that have columns, in the order of their addition."""
        query = sql.SQL(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'features'::regclass AND attnum > 0"
            " AND NOT attisdropped AND attname <> ALL(%(others)s) ORDER BY attnum"
        ).format()
        return [name for (name,) in self.rows(query, {"others": [*FEATURE_KEY, *CAUSE]})]

    def bars(self, asked: Sequence[Series], limit: int, before: int | None = None) -> dict[Series, list[Bar]]:
        """The newest `limit` bars of each series before `before`, oldest first.

        The newest chunks are searched first, then more for the series that have too few bars there.
        """
        found: dict[Series, list[Bar]] = {series: [] for series in asked}
        left = list(found)
        for floor in self._floors("bars_ohlcv", before):
            if not left:
                break
            found |= self._look(left, {"limit": limit, "before": before, "floor": floor})
            left = [series for series in left if len(found[series]) < limit]
            if floor is None and before is None:
                for series in left:
                    oldest = min((bar.time for bar in found[series]), default=None)
                    self._depths.note_oldest("bars_ohlcv", series, oldest)
            left = [series for series in left if not self._depths.holds_all("bars_ohlcv", series, floor)]
        return found

    def recent_signals(self, limit: int) -> list[Signal]:
        """The newest `limit` of each provider and name, newest first.

        They are searched among the newest 1,000 of each series, or fewer with many series, but at least `limit`.
        """
        bounds = {"limit": limit, "each": _MOST_OF_SERIES, "all": _MOST_OF_ALL}
        found: list[Signal] = []
        for floor in self._floors("signals", None):
            found = [Signal(*row) for row in self.rows(_RECENT, {**bounds, "floor": floor})]
            if len(found) >= limit:
                break
        return found

    def rows(
        self, query: sql.Composed, parameters: Mapping[str, Any], *, by_key: bool = False
    ) -> list[tuple[Any, ...]]:
        """Returns the rows of one query, run in a transaction of its own.

        Args:
            query: the query.
            parameters: its values.
            by_key: make the server find the rows of a series by their key. Its planner assumes that they are
                scattered, and prefers to scan the rows of all series in the time range.
        """
        with self._asking() as connection:
            if by_key:
                connection.execute("SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off")
            return connection.execute(query, parameters).fetchall()

    @property
    def edition(self) -> Edition:
        """What the database offers for these tables: those of a run are ordinary ones, whatever else there is."""
        if self._edition is None:
            with self._asking() as connection:
                settle_schema(connection)
                found = edition_of(connection)
                is_plain = found is Edition.PLAIN or not is_hypertable(connection, "bars_ohlcv")
                self._edition = Edition.PLAIN if is_plain else found
        return self._edition

    def close(self) -> None:
        """Closes the connection; the next call opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def disconnect(self) -> None:
        """Aborts the query of another thread, which would wait for ever for a server that hangs."""
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)

    def _look(self, asked: Sequence[Series], parameters: Mapping[str, Any]) -> dict[Series, list[Bar]]:
        found: dict[Series, list[Bar]] = {series: [] for series in asked}
        columns = {
            f"{name}s": list(values) for name, values in zip(Series._fields, zip(*asked, strict=True), strict=True)
        }
        for number, *row in self.rows(_BARS, {**columns, **parameters}):
            found[asked[number - 1]].append(Bar(*row))
        return found

    def _floors(self, table: str, before: int | None) -> Iterator[int | None]:
        if self._depths.are_stale:
            with self._asking() as connection:
                self._depths.look(connection)
        return self._depths.floors(table, before)

    @contextlib.contextmanager
    def _asking(self) -> Iterator[psycopg.Connection]:
        try:
            with transaction(self._connected(), statement_timeout_ms=_TIMEOUT_MS) as connection:
                yield connection
        except psycopg.Error as error:
            self.close()
            raise StoreUnavailable(f"{first_line(error)}{_remedy(error)}") from None
        except BaseException:
            self.close()
            raise

    def _connected(self) -> psycopg.Connection:
        if self._connection is None:
            self._connection = connect(self._conninfo, read_only=True)
        return self._connection
