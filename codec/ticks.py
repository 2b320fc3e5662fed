"""The fast path: JSON messages that clearly satisfy their contract, many at once.

All other records are left to the general decoders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from codec.scanned_columns import read_long, texts, with_nulls
from contracts.batch import NO_EVENTS
from contracts.binary import BinaryColumn
from contracts.event import OF_BARS
from contracts.frames import EVENTS
from contracts.ids import with_event_ids
from contracts.record import Records
from native.json_fields import NUMBER, TEXT, Scanner
from native.json_scan import Found, scan

_UNSAID: Final = {"row": 0, "kind": "tick", "v": 0.0, "side": None, **dict.fromkeys(OF_BARS)}
_SAME: Final = {name: pl.Series(name, [value], EVENTS[name]) for name, value in _UNSAID.items() if name in EVENTS}
_OPTIONAL: Final = ("seq", "side")


@dataclass(frozen=True, eq=False)
class TickFormat:
    """A form in which ticks come.

    Attributes:
        scanner: keeps columns of EVENTS under their names, and what `settle` needs. Without `v`, ticks have no volume.
        settle: completes what a scan has found in the values of records, and withdraws `is_plain` from what is no tick.
    """

    scanner: Scanner
    settle: Callable[[Found, BinaryColumn], None] | None = None

    @property
    def columns(self) -> list[str]:
        """Those of EVENTS that are kept."""
        return [name for name in self.scanner.kinds if name in EVENTS]

    @property
    def numbers(self) -> list[str]:
        return [name for name, kind in self.scanner.kinds.items() if kind == NUMBER]


class TickReader:
    """Collects the ticks of one micro-batch.

    Args:
        form: that of the records.
        max_future_ns: how far a tick's time may be ahead of its record's timestamp.
    """

    def __init__(self, form: TickFormat, max_future_ns: int) -> None:
        self._form = form
        self._max_future_ns = max_future_ns
        self._found: list[Found] = []
        self._records: list[Records] = []  # keep the strings alive

    def read(self, records: Records, start: int) -> list[int]:
        """Reads the plain ticks; returns the indices of all other records. `start` is the first one's batch index."""
        found = scan(records, self._form.scanner, self._max_future_ns)
        for name in self._form.numbers:
            read_long(found, name)
        if self._form.settle is not None:
            self._form.settle(found, records.values)
        others: list[int] = [] if found.is_plain.all() else np.flatnonzero(~found.is_plain).tolist()
        found.record[:] += start
        self._found.append(found.plain())
        self._records.append(records)
        return others

    def frame(self) -> pl.DataFrame:
        """All ticks so far, as EVENTS in log order."""
        count = sum(len(found.record) for found in self._found)
        if not count:
            return NO_EVENTS
        columns = {name: column.new_from_index(0, count) for name, column in _SAME.items()}
        columns |= {name: self._column(name) for name in self._form.columns}
        columns["record"] = pl.Series("record", np.concatenate([found.record for found in self._found]))
        columns["offset"] = pl.Series("offset", np.concatenate([found.offset for found in self._found]))
        return with_event_ids(pl.DataFrame([columns[name] for name in EVENTS]))

    def _column(self, name: str) -> pl.Series:
        kind = self._form.scanner.kinds[name]
        if kind == TEXT:
            addresses, lengths = zip(*(found.texts(name) for found in self._found), strict=True)
            return texts(name, np.concatenate(addresses), np.concatenate(lengths))
        if kind == NUMBER:
            return pl.Series(name, np.concatenate([found.numbers(name) for found in self._found]))
        integers = pl.Series(name, np.concatenate([found.integers(name) for found in self._found]))
        if name not in _OPTIONAL:
            return integers
        return with_nulls(integers.cast(EVENTS[name]), np.concatenate([found.has(name) for found in self._found]))
