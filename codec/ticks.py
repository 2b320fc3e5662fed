"""The fast path: JSON ticks that clearly satisfy the contract, many at once.

All other records are left to the rules of `contracts.event_rules`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from contracts.batch import NO_EVENTS
from contracts.event import OF_BARS, TICK
from contracts.frames import EVENTS
from contracts.ids import with_event_ids
from contracts.record import Records
from contracts.values import MAX_PRICE, MAX_VOLUME
from native.json_scan import scan
from native.memory import gather

_Scanned = npt.NDArray[Any]  # of dtype SCANNED
_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]
_Bools = npt.NDArray[np.bool_]

_TEXTS: Final = [name for name in TICK if EVENTS[name] == pl.String and name != "kind"]
_NUMBERS: Final = [name for name in ("record", "offset", *TICK) if EVENTS[name] != pl.String and name != "seq"]
_UNSAID: Final = {"row": 0, "kind": "tick", **dict.fromkeys(name for name in EVENTS if name in OF_BARS)}
_SAME: Final = [pl.Series(name, [value], EVENTS[name]) for name, value in _UNSAID.items()]  # in all ticks


class TickReader:
    """Collects the ticks of one micro-batch.

    Args:
        max_future_ns: how far a tick's time may be ahead of its record's timestamp.
    """

    def __init__(self, max_future_ns: int) -> None:
        self._max_future_ns = max_future_ns
        self._found: list[_Scanned] = []
        self._records: list[Records] = []  # keep the strings alive

    def read(self, records: Records, start: int) -> list[int]:
        """Reads the plain ticks; returns the indices of all other records. `start` is the first one's batch index."""
        found = scan(records, self._max_future_ns)
        _read_long(found, "c", -MAX_PRICE, MAX_PRICE)
        _read_long(found, "v", 0.0, MAX_VOLUME)
        is_tick = found["is_tick"]
        others: list[int] = [] if is_tick.all() else np.flatnonzero(~is_tick).tolist()
        found["record"] += start
        self._found.append(found[is_tick] if others else found)
        self._records.append(records)
        return others

    def frame(self) -> pl.DataFrame:
        """All ticks so far, as EVENTS in log order."""
        count = sum(map(len, self._found))
        if not count:
            return NO_EVENTS
        columns = {name: pl.Series(name, self._of_all(name)) for name in _NUMBERS}
        columns |= {name: self._texts(name) for name in _TEXTS}
        columns["seq"] = _with_nulls(pl.Series("seq", self._of_all("seq")), self._of_all("has_seq"))
        columns |= {column.name: column.new_from_index(0, count) for column in _SAME}
        return with_event_ids(pl.DataFrame([columns[name] for name in EVENTS]))

    def _of_all(self, name: str) -> npt.NDArray[Any]:
        return np.concatenate([found[name] for found in self._found])

    def _texts(self, name: str) -> pl.Series:
        return _texts(name, self._of_all(f"{name}_at"), self._of_all(f"{name}_len"))


def _read_long(found: _Scanned, name: str, least: float, most: float) -> None:
    """Parses the numbers that have too many digits for the scan, and validates them."""
    if not found[f"{name}_is_long"].any():
        return
    rows = np.flatnonzero(found["is_tick"] & found[f"{name}_is_long"])
    numbers = _texts(name, found[f"{name}_at"][rows], found[f"{name}_len"][rows]).cast(pl.Float64).to_numpy()
    found[name][rows] = numbers
    found["is_tick"][rows] = (numbers >= least) & (numbers <= most)


def _texts(name: str, addresses: _Ints, lengths: _Ints) -> pl.Series:
    """The strings; null where the length is 0."""
    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    text = np.empty(ends[-1], np.uint8)
    gather(addresses, lengths, ends, text)
    arrow = pa.LargeStringArray.from_buffers(len(lengths), pa.py_buffer(ends), pa.py_buffer(text))
    return _with_nulls(pl.Series(name, pl.from_arrow(arrow)), lengths > 0)


def _with_nulls(column: pl.Series, is_there: _Bools) -> pl.Series:
    return column if is_there.all() else column.set(pl.Series(~is_there), None)
