"""TimescaleDB's chunks of the tables, and which are in its columnstore. Plain PostgreSQL has no chunks."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import polars as pl
import psycopg

from sinks.merge import Target
from sinks.schema.hypertables import MOST_CHUNKS

Rows = Sequence[tuple[Target, pl.DataFrame]]

_LOOK_SECONDS: Final = 60.0
_VERY_MANY: Final = 64  # chunks touched by one flush: seconds for what plain PostgreSQL does at once

_LENGTH: Final = b"""
SELECT (extract(epoch FROM min(time_interval)) * 1000000)::bigint, current_schema()
FROM timescaledb_information.dimensions WHERE hypertable_schema = current_schema() AND hypertable_name = ANY(%s)"""

_NEWEST: Final = b"""
SELECT hypertable_name, max(range_end) FROM timescaledb_information.chunks
WHERE hypertable_schema = %s AND hypertable_name = ANY(%s) AND is_compressed GROUP BY 1"""

log = logging.getLogger("mdp.sinks")


@dataclass
class Chunks:
    """The chunks of one database.

    Attributes:
        length: microseconds; None without chunks.
        schema: of the tables.
        tables: those whose chunks these are.
    """

    length: int | None = None
    schema: str | None = None
    tables: Sequence[str] = ()
    _columnar: dict[str, datetime] = field(default_factory=dict)
    _looked_at: float = float("-inf")
    _has_warned: bool = False

    @classmethod
    def of(cls, connection: psycopg.Connection, tables: Sequence[str]) -> Chunks:
        """Reads the present chunks of the tables, in a transaction in their schema."""
        row = connection.execute("SELECT to_regclass('timescaledb_information.dimensions') IS NOT NULL").fetchone()
        if row != (True,):
            return cls()
        found = connection.execute(_LENGTH, [list(tables)]).fetchone()
        if found is None:
            return cls()
        length, schema = found
        return cls(length, schema, tables)

    def pieces(self, rows: Rows) -> Iterator[Rows]:
        """Yields the rows in time order, in pieces that each need the locks of a few chunks only."""
        if self.length is None or _span(rows) < MOST_CHUNKS * self.length:
            yield rows
            return
        numbers = [_time(target, frame).to_physical() // self.length for target, frame in rows]
        known = pl.concat(numbers).unique().sort()
        self._warn(known.len(), self.length)
        for first in range(0, known.len(), MOST_CHUNKS):
            piece = known[first : first + MOST_CHUNKS]
            lies_in = [number.is_between(piece[0], piece[-1]) for number in numbers]
            yield [(target, frame.filter(those)) for (target, frame), those in zip(rows, lies_in, strict=True)]

    def _warn(self, count: int, length: int) -> None:
        if count > _VERY_MANY and not self._has_warned:
            self._has_warned = True
            log.warning(
                "one flush spans %d chunks of %s, each of which takes time to create: for sparse history, set"
                " store.chunk_interval to some months before writing any of it",
                count,
                timedelta(microseconds=length),
            )

    def may_be_columnar(self, cursor: psycopg.Cursor, target: Target, rows: pl.DataFrame) -> bool:
        """Whether some of these rows may lie in the columnstore, as of the last minute."""
        if self.length is None:
            return False
        if time.monotonic() - self._looked_at > _LOOK_SECONDS:
            self._columnar = dict(cursor.execute(_NEWEST, [self.schema, list(self.tables)]).fetchall())
            self._looked_at = time.monotonic()
        end, times = self._columnar.get(target.table), _time(target, rows).dt.replace_time_zone("UTC")
        return end is not None and bool((times < end).any())


def _time(target: Target, rows: pl.DataFrame) -> pl.Series:
    return rows[target.time] if rows.height else pl.Series(dtype=pl.Datetime("us"))


def _span(rows: Rows) -> int:
    """Microseconds from the first row to the last."""
    times = [_time(target, frame).to_physical() for target, frame in rows if frame.height]
    return int(max(map(pl.Series.max, times)) - min(map(pl.Series.min, times))) if times else 0  # type: ignore[operator,type-var,arg-type]
