"""The volume of a provider's series in a time span, by slots of time; each slot is read once, except the newest.

A market of thousands of symbols has millions of bars in an hour. So each update reads only a few slots, as many as can
be read quickly, and the next update continues.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import polars as pl

from sinks.queries.live import Series
from sinks.queries.market import MarketReader

SLOTS: Final = 60  # in a span

_AMENDED: Final = 2  # the newest slots may still change, and are read again
_READS: Final = 8  # queries per update
_SHORT_SECONDS: Final = 0.05  # of one query
_LONG_SECONDS: Final = 0.1


class Volumes:
    """The volumes of one provider.

    Args:
        length: of a slot, in milliseconds.
        reads: maximum number of queries per update.
    """

    def __init__(self, reader: MarketReader, provider: str, length: int, reads: int = _READS) -> None:
        self._reader, self._provider, self._length, self._reads = reader, provider, length, reads
        self._slots: dict[int, pl.DataFrame] = {}
        self._at_once = 1

    def read(self, last: int) -> None:
        """Update the span that ends with the slot `last` from the database, or a part of it."""
        settled = max(self._slots, default=0) - _AMENDED
        self._slots = {slot: rows for slot, rows in self._slots.items() if last - SLOTS < slot <= min(settled, last)}
        missing = [slot for slot in range(last, last - SLOTS, -1) if slot not in self._slots]
        for _ in range(self._reads):
            if not missing:
                break
            missing = missing[self._read_some(missing) :]

    def total(self) -> dict[Series, float] | None:
        """The volume by series; None until the whole span is known."""
        if len(self._slots) < SLOTS:
            return None
        rows = pl.concat(self._slots.values()).group_by(*Series._fields).agg(pl.col("volume").sum())
        return {Series(*key): volume for *key, volume in rows.select(*Series._fields, "volume").iter_rows()}

    def _read_some(self, missing: Sequence[int]) -> int:
        """Read adjacent slots of `missing`, which is in descending order; return how many were read."""
        count = 1
        while count < min(self._at_once, len(missing)) and missing[count] == missing[0] - count:
            count += 1
        begin = time.monotonic()
        rows = self._reader.volumes(self._provider, missing[count - 1], missing[0], self._length)
        self._slots |= {slot: rows.filter(pl.col("slot") == slot) for slot in missing[:count]}
        seconds = time.monotonic() - begin
        if seconds > _LONG_SECONDS:
            self._at_once = max(1, self._at_once // 2)
        elif seconds < _SHORT_SECONDS and count == self._at_once:
            self._at_once *= 2
        return count
