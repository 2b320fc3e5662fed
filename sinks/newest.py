"""Finds the newest rows by chunk. A query of all of TimescaleDB's thousands of chunks takes seconds and their locks."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Hashable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

import psycopg

from sinks.schema.hypertables import MOST_CHUNKS
from sinks.schema.tables import TIME_COLUMN

# Chunks that successive queries go back, while too few rows are found; the last query covers all rows.
_DEPTHS: Final = (16, 128, 1_024)

Stretch = tuple[datetime | None, datetime | None]  # from the first (inclusive) to the second (exclusive)

_LOOK_SECONDS: Final = 60.0
_NEVER: Final = 1 << 62

_STARTS: Final = """
SELECT hypertable_name, array_agg((extract(epoch FROM range_start) * 1000)::bigint
    ORDER BY range_start) FROM timescaledb_information.chunks
WHERE hypertable_name = ANY(%s) AND format('%%I.%%I', hypertable_schema, hypertable_name)::regclass
    = to_regclass(quote_ident(hypertable_name)) GROUP BY 1"""


class Depths:
    """Lower bounds for searching the newest rows of a table, by its chunks. Times are Unix milliseconds.

    Outdated knowledge of the chunks does no harm: a caller that finds too few rows searches farther back.
    """

    def __init__(self, tables: Sequence[str] = tuple(TIME_COLUMN)) -> None:
        self._tables = list(tables)
        self._starts: dict[str, list[int]] = {}  # in order; empty on plain PostgreSQL
        self._oldest: dict[tuple[str, Hashable], int] = {}
        self._looked_at = float("-inf")

    @classmethod
    def of(cls, connection: psycopg.Connection, tables: Sequence[str] = tuple(TIME_COLUMN)) -> Depths:
        """Reads the present chunks of these tables."""
        depths = cls(tables)
        depths.look(connection)
        return depths

    @property
    def are_stale(self) -> bool:
        """Whether the chunks were read more than a minute ago."""
        return time.monotonic() - self._looked_at > _LOOK_SECONDS

    def look(self, connection: psycopg.Connection) -> None:
        """Reads the present chunks again."""
        row = connection.execute("SELECT to_regclass('timescaledb_information.chunks') IS NOT NULL").fetchone()
        self._starts = dict(connection.execute(_STARTS, [self._tables]).fetchall()) if row == (True,) else {}
        self._oldest.clear()
        self._looked_at = time.monotonic()

    def floors(self, table: str, before: float | None) -> Iterator[int | None]:
        """Yields earlier and earlier times; at last None, for all rows before `before`."""
        starts = self._starts.get(table, [])
        count = len(starts) if before is None else bisect_left(starts, before)
        yield from (starts[count - depth] for depth in _DEPTHS if depth < count)
        yield None

    def stretches(self, table: str) -> Iterator[Stretch]:
        """All of time, in ranges of as many chunks as one transaction may touch, oldest first."""
        starts = self._starts.get(table, [])[MOST_CHUNKS::MOST_CHUNKS]
        cuts = [None, *(datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=start) for start in starts), None]
        return pairwise(cuts)

    def note_oldest(self, table: str, series: Hashable, oldest: int | None) -> None:
        """Notes the oldest time that a query of all rows of a series has found; None without rows."""
        self._oldest[table, series] = _NEVER if oldest is None else oldest

    def holds_all(self, table: str, series: Hashable, floor: int | None) -> bool:
        """Whether no row of the series is older than the floor."""
        return floor is None or floor <= self._oldest.get((table, series), floor - 1)
