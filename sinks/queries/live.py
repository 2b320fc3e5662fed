"""What the live page reads, over one connection that stays open and cannot write. Times are Unix milliseconds.

Of the series asked for only the newest rows are read, along the primary key, so a look costs what is shown and not what
is stored. Which series there are, and what moves in between, is told by small tables: `series` and `progress`.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

import psycopg
from psycopg import sql
from psycopg.errors import UndefinedColumn, UndefinedTable

from contracts.batch import Outcomes
from sinks.connection import (
    OUT_OF_LOCKS_REMEDY,
    StoreUnavailable,
    connect,
    first_line,
    is_out_of_locks,
    transaction,
)
from sinks.newest import Depths
from sinks.progress import COUNTS
from sinks.queries.series import of_table

_TIMEOUT_MS: Final = 10_000


class Series(NamedTuple):
    """What bars of one line belong to."""

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
    """A signal; `time` is the end of its window, `price` what the evaluator says it was."""

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
    """How far a flow has come: the sum of its offsets, its outcomes, and the seconds since it last wrote."""

    position: int
    outcomes: Outcomes
    age: float


_Row = TypeVar("_Row", Bar, Signal)


class _Rows(NamedTuple, Generic[_Row]):
    """What is read of one table."""

    table: str
    kind: type[_Row]
    query: sql.Composed


def _epoch_ms(column: str) -> sql.Composed:
    return sql.SQL("(extract(epoch FROM {}) * 1000)::bigint").format(sql.Identifier(column))


_ASKED: Final = sql.SQL("""
FROM unnest(%(providers)s::text[], %(symbols)s::text[], %(intervals)s::text[]) WITH ORDINALITY
    AS asked (provider, symbol, "interval", number), LATERAL (
    SELECT * FROM {table} AS t
    WHERE (t.provider, t.symbol, t."interval") = (asked.provider, asked.symbol, asked."interval")
        AND {time} < coalesce(to_timestamp(%(before)s::double precision / 1000), 'infinity'::timestamptz)
        AND {time} >= coalesce(to_timestamp(%(floor)s::double precision / 1000), '-infinity'::timestamptz)
    ORDER BY {time} DESC LIMIT %(limit)s
) AS newest""")

_BARS: Final = _Rows(
    "bars_ohlcv",
    Bar,
    sql.SQL(
        "SELECT number, {time}, open, high, low, close, volume, vwap, trades, revision {asked}"
        " ORDER BY number, window_start"
    ).format(
        time=_epoch_ms("window_start"),
        asked=_ASKED.format(table=sql.Identifier("bars_ohlcv"), time=sql.Identifier("window_start")),
    ),
)

_SIGNAL: Final = sql.SQL(
    'newest.provider, newest.symbol, newest."interval", {}, name, adapter, value, score,'
    " CASE jsonb_typeof(meta -> 'price') WHEN 'number' THEN (meta ->> 'price')::double precision END"
).format(_epoch_ms("ts"))

_SIGNALS: Final = _Rows(
    "signals",
    Signal,
    sql.SQL("SELECT number, {signal} {asked} ORDER BY number, ts, name, adapter").format(
        signal=_SIGNAL, asked=_ASKED.format(table=sql.Identifier("signals"), time=sql.Identifier("ts"))
    ),
)

_RECENT: Final = sql.SQL("""
SELECT {signal} FROM {series}, LATERAL (
    SELECT * FROM signals AS t
    WHERE (t.provider, t.symbol, t."interval") = (series.provider, series.symbol, series."interval")
        AND ts >= coalesce(to_timestamp(%(floor)s::double precision / 1000), '-infinity'::timestamptz)
    ORDER BY ts DESC LIMIT %(limit)s
) AS newest ORDER BY ts DESC, newest.provider, newest.symbol, name, adapter LIMIT %(limit)s
""").format(series=of_table("signals"), signal=_SIGNAL)

_PROGRESS: Final = sql.SQL(
    "SELECT flow, sum(next_offset)::bigint, extract(epoch FROM now() - max(updated_at))::double precision, {}"
    " FROM progress GROUP BY flow"
).format(sql.SQL(", ").join(sql.SQL("sum({})::bigint").format(sql.Identifier(name)) for name in COUNTS))


def _remedy(error: psycopg.Error) -> str:
    if isinstance(error, UndefinedTable | UndefinedColumn):
        return ": run `mdp store migrate`"
    return f": {OUT_OF_LOCKS_REMEDY}" if is_out_of_locks(error) else ""


class LiveReader:
    """Reads the newest rows. Not for use by several threads at once.

    All methods raise StoreUnavailable when the database cannot be reached, has no tables yet, or refuses.
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo: Final = conninfo
        self._connection: psycopg.Connection | None = None
        self._depths = Depths()

    def progress(self) -> dict[str, FlowProgress]:
        """By flow."""
        rows = self._rows(_PROGRESS, {})
        return {flow: FlowProgress(position, Outcomes(*counts), age) for flow, position, age, *counts in rows}

    def series(self) -> list[Series]:
        """All that have bars, in order."""
        query = sql.SQL('SELECT * FROM {} ORDER BY provider, symbol, "interval"').format(of_table("bars_ohlcv"))
        return [Series(*row) for row in self._rows(query, {})]

    def bars(self, asked: Sequence[Series], limit: int, before: int | None = None) -> dict[Series, list[Bar]]:
        """The newest `limit` bars of each series, those from `before` on left out; oldest first."""
        return self._newest(_BARS, asked, limit, before)

    def signals(self, asked: Sequence[Series], limit: int, before: int | None = None) -> dict[Series, list[Signal]]:
        """The newest `limit` signals of each series, those from `before` on left out; oldest first."""
        return self._newest(_SIGNALS, asked, limit, before)

    def recent_signals(self, limit: int) -> list[Signal]:
        """The newest `limit` signals of all series, newest first."""
        found: list[Signal] = []
        for floor in self._floors("signals", None):
            found = [Signal(*row) for row in self._rows(_RECENT, {"limit": limit, "floor": floor})]
            if len(found) == limit:
                break
        return found

    def close(self) -> None:
        """Ends the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def hang_up(self) -> None:
        """Has a thread that waits for an answer fail, as a server that hangs would let it wait; for another thread."""
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)

    def _newest(
        self, rows: _Rows[_Row], asked: Sequence[Series], limit: int, before: int | None
    ) -> dict[Series, list[_Row]]:
        """Those of a few chunks at first, and then of more for the series that have too few there."""
        found: dict[Series, list[_Row]] = {series: [] for series in asked}
        left = list(found)
        for floor in self._floors(rows.table, before):
            if not left:
                break
            found |= self._look(rows, left, {"limit": limit, "before": before, "floor": floor})
            left = [series for series in left if len(found[series]) < limit]
            if floor is None and before is None:
                for series in left:
                    self._depths.note_oldest(rows.table, series, min((row.time for row in found[series]), default=None))
            left = [series for series in left if not self._depths.holds_all(rows.table, series, floor)]
        return found

    def _look(
        self, rows: _Rows[_Row], asked: Sequence[Series], parameters: Mapping[str, Any]
    ) -> dict[Series, list[_Row]]:
        found: dict[Series, list[_Row]] = {series: [] for series in asked}
        columns = {
            f"{name}s": list(values) for name, values in zip(Series._fields, zip(*asked, strict=True), strict=True)
        }
        for number, *row in self._rows(rows.query, {**columns, **parameters}):
            found[asked[number - 1]].append(rows.kind(*row))
        return found

    def _floors(self, table: str, before: int | None) -> Iterator[int | None]:
        if self._depths.are_stale:
            with self._asking() as connection:
                self._depths.look(connection)
        return self._depths.floors(table, before)

    def _rows(self, query: sql.Composed, parameters: Mapping[str, Any]) -> Iterable[tuple[Any, ...]]:
        with self._asking() as connection:
            return connection.execute(query, parameters).fetchall()

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
