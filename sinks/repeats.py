"""Leaves out rows that were written lately, before they cost the database anything.

A message that comes twice mostly does so within seconds: a producer has sent it again, or two connections have
delivered it. If it went to the database, the flush could not be copied into the table (`sinks.timescale`).
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

import numpy as np
import polars as pl

from native.recent_keys import Keys, RecentKeys
from sinks.merge import Target

REMEMBERED: Final = 1 << 17  # rows of a table at least; twice as many take 8 MB


class Repeats:
    """The rows written over one connection: whoever is not sure that all of them are committed begins anew."""

    def __init__(self) -> None:
        self._recent: dict[str, RecentKeys] = defaultdict(lambda: RecentKeys(REMEMBERED))

    def without(self, target: Target, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows that are neither remembered nor repeat another one of them; they are remembered from now on."""
        if target.identity is None or rows.is_empty():
            return rows
        is_new = self._recent[target.table].add(_words(rows[target.identity]))
        return rows if is_new.all() else rows.filter(pl.Series(is_new))


def _words(keys: pl.Series) -> Keys:
    """Keys of 16 bytes, none of which is null, as two numbers each."""
    array = keys.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, ends, data = array.buffers()
    first = np.frombuffer(ends, np.int64)[array.offset]
    return np.frombuffer(data, np.uint64, 2 * len(keys), first).reshape(-1, 2).copy()
