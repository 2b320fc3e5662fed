"""The list of series: a small table that the writers maintain, as finding them among the rows costs too much.

This holds above all for TimescaleDB's columnstore, which has no index that leads from one series to the next.
"""

from __future__ import annotations

import secrets
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import psycopg
from psycopg import sql

from sinks.merge import SERIES

# In key order, so that concurrent writers of the same series wait for each other without a deadlock.
_INSERT: Final = (
    b'INSERT INTO series (relation, provider, symbol, "interval")'
    b" SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::text[]) ORDER BY 2, 3, 4 ON CONFLICT DO NOTHING"
)

_Hashes = npt.NDArray[np.uint64]
_NONE: Final[_Hashes] = np.zeros(0, np.uint64)


def of_table(table: str) -> sql.Composed:
    """A FROM item with the series that have had rows in `table`, named `series`."""
    query = sql.SQL('(SELECT provider, symbol, "interval" FROM series WHERE relation = {}) AS series')
    return query.format(sql.Literal(table))


_MOST: Final = 1_000_000  # hashes of a table, as symbols come and go


class KnownSeries:
    """Series that are certainly in the database, by table, so that a flush inserts hardly any others.

    Beyond a number all are forgotten, which costs an insert of those that are still written.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Hashes] = {}
        self._new: dict[str, _Hashes] = {}
        self._seed = secrets.randbits(64)  # so that no sender can craft symbols with equal hashes

    def insert(self, cursor: psycopg.Cursor, table: str, rows: pl.DataFrame) -> None:
        """Inserts the new series of `rows`; they are known after `committed`."""
        hashes = rows.select(SERIES).hash_rows(self._seed).to_numpy()
        is_new = ~_are_in(self._known.get(table, _NONE), hashes)
        if is_new.any():
            new = rows.select(SERIES).filter(is_new).unique()
            cursor.execute(_INSERT, [table, *(new[name].to_list() for name in SERIES)])
            self._new[table] = hashes[is_new]

    def committed(self) -> None:
        """Notes that the inserts since the last call are committed."""
        for table, hashes in self._new.items():
            known = self._known.get(table, _NONE)
            self._known[table] = np.union1d(known if len(known) < _MOST else _NONE, hashes)
        self._new.clear()

    def rolled_back(self) -> None:
        """Notes that the inserts since the last call may not be committed."""
        self._new.clear()


def _are_in(known: _Hashes, hashes: _Hashes) -> npt.NDArray[np.bool_]:
    """Which of `hashes` are in `known`, which is sorted."""
    if not len(known):
        return np.zeros(len(hashes), np.bool_)
    found: npt.NDArray[np.bool_] = known[np.minimum(known.searchsorted(hashes), len(known) - 1)] == hashes
    return found
