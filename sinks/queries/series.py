"""Which series there are: a small table that the writers keep, as finding them among the rows costs too much.

In TimescaleDB's columnstore above all, where no index leads from one series to the next.
"""

from __future__ import annotations

import secrets
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import psycopg
from psycopg import sql

SERIES: Final = ("provider", "symbol", "interval")

# In the order of the key, so that writers of the same series wait for each other, and not in a ring.
_INSERT: Final = (
    b'INSERT INTO series (relation, provider, symbol, "interval")'
    b" SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::text[]) ORDER BY 2, 3, 4 ON CONFLICT DO NOTHING"
)

_Hashes = npt.NDArray[np.uint64]
_NONE: Final[_Hashes] = np.zeros(0, np.uint64)


def of_table(table: str) -> sql.Composed:
    """What FROM takes: the series that have had rows in `table`, as `series`."""
    query = sql.SQL('(SELECT provider, symbol, "interval" FROM series WHERE relation = {}) AS series')
    return query.format(sql.Literal(table))


class KnownSeries:
    """The series that are in the database for certain, by table, so that a flush names none but new ones."""

    def __init__(self) -> None:
        self._known: dict[str, _Hashes] = {}
        self._new: dict[str, _Hashes] = {}
        self._seed = secrets.randbits(64)  # who sends symbols cannot make two that pass for one

    def insert(self, cursor: psycopg.Cursor, table: str, rows: pl.DataFrame) -> None:
        """Writes those of `rows` that are new; they are known once that is `committed`."""
        hashes = rows.select(SERIES).hash_rows(self._seed).to_numpy()
        is_new = ~_are_in(self._known.get(table, _NONE), hashes)
        if is_new.any():
            new = rows.select(SERIES).filter(is_new).unique()
            cursor.execute(_INSERT, [table, *(new[name].to_list() for name in SERIES)])
            self._new[table] = hashes[is_new]

    def committed(self) -> None:
        """What was inserted since the last call is in the database."""
        for table, hashes in self._new.items():
            self._known[table] = np.union1d(self._known.get(table, _NONE), hashes)
        self._new.clear()

    def rolled_back(self) -> None:
        """Some of it may not be."""
        self._new.clear()


def _are_in(known: _Hashes, hashes: _Hashes) -> npt.NDArray[np.bool_]:
    """`known` is in order."""
    if not len(known):
        return np.zeros(len(hashes), np.bool_)
    found: npt.NDArray[np.bool_] = known[np.minimum(known.searchsorted(hashes), len(known) - 1)] == hashes
    return found
