"""The time range of a run, as bounds of rows: a window belongs to it only if it lies inside entirely."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from psycopg import sql

from contracts.duration import parse_duration
from sinks.schema.tables import TIME_COLUMN

_EPOCH: Final = datetime.fromtimestamp(0, UTC)


class Span(NamedTuple):
    """Windows that begin at or after `start` and end at or before `end`, both timezone-aware; None is unbounded."""

    start: datetime | None = None
    end: datetime | None = None

    @classmethod
    def between(cls, start_ns: int | None, end_ns: int | None) -> Span:
        """From nanoseconds since the epoch. Windows are whole milliseconds, so rounding to microseconds is harmless."""
        start = None if start_ns is None else _EPOCH + timedelta(microseconds=-(-start_ns // 1_000))
        return cls(start, None if end_ns is None else _EPOCH + timedelta(microseconds=end_ns // 1_000))

    def common(self, other: Span) -> Span:
        """The intersection."""
        starts = [start for start in (self.start, other.start) if start is not None]
        ends = [end for end in (self.end, other.end) if end is not None]
        return Span(max(starts, default=None), min(ends, default=None))

    @property
    def is_empty(self) -> bool:
        """Whether it contains no time."""
        return self.start is not None and self.end is not None and self.start >= self.end

    def __str__(self) -> str:
        start, end = ("…" if at is None else f"{at:%Y-%m-%dT%H:%M:%S.%f}".rstrip("0").rstrip(".") + "Z" for at in self)
        return f"{start} to {end}"


class Part(NamedTuple):
    """The rows of one length of bars that lie in a span.

    Attributes:
        interval: the length as in the rows, such as `2s`.
    """

    span: Span
    interval: str

    @property
    def window(self) -> timedelta:
        """The length."""
        return timedelta(microseconds=parse_duration(self.interval) // 1_000)

    def within(self, table: str, relation: str) -> sql.Composed:
        """The condition on rows of `relation`, whose columns are those of `table`.

        Bars stand at the start of their window, features and signals at its end. The bounds are values, so that
        TimescaleDB leaves the chunks beyond them alone.
        """
        time, interval = (sql.Identifier(relation, column) for column in (TIME_COLUMN[table], "interval"))
        at_start = table == "bars_ohlcv"
        conditions = [sql.SQL("{} = {}").format(interval, self.interval)]
        if self.span.start is not None:
            first = self.span.start + (timedelta() if at_start else self.window)
            conditions.append(sql.SQL("{} >= {}").format(time, first))
        if self.span.end is not None:
            last = self.span.end - (self.window if at_start else timedelta())
            conditions.append(sql.SQL("{} <= {}").format(time, last))
        return sql.SQL(" AND ").join(conditions)
