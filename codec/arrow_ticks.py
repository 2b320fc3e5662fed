"""The fast path of Arrow records: ticks that satisfy the contract, found in whole columns of many records at once.

All other rows are left to the rules of `contracts.event_rules`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from codec.arrow_events import columns, frame, opened
from codec.arrow_size import Size, check_size, stated_size
from codec.event_rows import places
from codec.timestamps import parse_timestamps
from contracts.batch import NO_EVENTS
from contracts.budgets import RECORD_BYTES, Room
from contracts.event import NEEDED_BY_TICKS, OF_BARS, PARSED, TICK
from contracts.event_rules import in_time, latest
from contracts.frames import EVENTS
from contracts.ids import with_event_ids
from contracts.record import Records
from contracts.values import MAX_PRICE, MAX_TEXT_BYTES, MAX_VOLUME
from native.arrow_layout import ABSENT, ROLES, Layout, forget, layout_of, learn, schema_of
from native.arrow_scan import OTHER, Ticks, row_counts, scan

_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]
_Tables = Mapping[int, pa.Table]  # by the index of their record in the fetch

_TICK: Final = b"tick"
_REQUIRED: Final = [name for name in NEEDED_BY_TICKS if name != "src_ts"]
_JUDGED: Final = [*TICK, "src_text", "flaw"]
_KEPT: Final = [name for name in TICK if name not in ("kind", "src_ts")]
_OPTIONAL: Final = [name for name in TICK if name not in NEEDED_BY_TICKS]
_UNSAID: Final = {"kind": "tick", **dict.fromkeys(name for name in EVENTS if name in (*OF_BARS, *_OPTIONAL, "side"))}
_DEFAULTS: Final = {name: pl.Series(name, [value], EVENTS[name]) for name, value in _UNSAID.items()}


def fitting(records: Records, chosen: Sequence[int], room: Room) -> int:
    """How many records from the first on fit the budget `room`, which they consume; `chosen` are the Arrow records."""
    rows_of_plain = {
        index: rows
        for layout, indices in _alike(records, chosen)
        for index, rows in zip(indices, row_counts(records.values, np.array(indices), layout).tolist(), strict=True)
    }
    for index in chosen:
        rows, nbytes = rows_of_plain.get(index, OTHER), 0  # a plain one hardly grows
        if rows < 0:
            rows, nbytes, _ = _stated(records.values.view(index))
        if not room.take(rows, nbytes):
            return index
    return len(records)


def _alike(records: Records, chosen: Iterable[int]) -> Iterable[tuple[Layout, list[int]]]:
    """Yields known layouts, each with the chosen records that may have it."""
    alike: dict[int, tuple[Layout, list[int]]] = {}
    for index in chosen:
        layout = layout_of(records.values.view(index))
        if layout is not None:
            alike.setdefault(id(layout), (layout, []))[1].append(index)
    return alike.values()


def _stated(payload: memoryview) -> Size:
    """The decoded size of a record; zero if it will be refused."""
    try:
        size = stated_size(pa.py_buffer(payload))
        check_size(size.rows, size.nbytes)
    except Exception:
        return Size(0, 0)
    return size


@dataclass(frozen=True, slots=True)
class ArrowReader:
    """Reads the Arrow records of one fetch.

    Attributes:
        records: the fetch.
        max_future_ns: how far a tick's time may be ahead of its record's timestamp.
        ticks: EVENTS frames of plain ticks, each in log order.
        others: PARSED frames of all other rows, each in log order.
        broken: the error of each unreadable record, by its index.
    """

    records: Records
    max_future_ns: int
    ticks: list[pl.DataFrame] = field(default_factory=list)
    others: list[pl.DataFrame] = field(default_factory=list)
    broken: dict[int, Exception] = field(default_factory=dict)

    def scan(self, chosen: Sequence[int]) -> list[int]:
        """Reads the records that are recognized as plain ticks by their bytes; returns the other chosen ones."""
        taken: set[int] = set()
        for layout, indices in _alike(self.records, chosen):
            taken |= self._scan(layout, np.array(indices))
        return [index for index in chosen if index not in taken]

    def _scan(self, layout: Layout, chosen: _Ints) -> set[int]:
        bound = latest(self.records.times()[chosen], self.max_future_ns)
        found, counts = scan(self.records.values, chosen, bound, layout)
        if (counts == OTHER).any():
            forget(layout)
        if len(found.row):
            self.ticks.append(_scanned(found, self.records, layout))
        return set(chosen[counts > 0].tolist())

    def read(self, chosen: Sequence[int]) -> None:
        """Reads these records in log order, as many at once as the budget allows."""
        tables: dict[int, pa.Table] = {}
        nbytes = 0
        for index in chosen:
            try:
                tables[index], its_bytes = opened(self.records.values.view(index))
            except Exception as error:
                self._break(index, error)
                continue
            nbytes += its_bytes
            if nbytes >= RECORD_BYTES:
                self._read(tables)
                tables, nbytes = {}, 0
        self._read(tables)

    def _break(self, index: int, error: Exception) -> None:
        self.broken[index] = error.with_traceback(None)  # a traceback would keep the table alive

    def _read(self, tables: _Tables) -> None:
        """Reads the tables of one schema together, or one by one if any is broken."""
        for schema, alike in self._by_schema(tables):
            try:
                rows = columns(pa.concat_tables(alike.values()))
            except Exception:
                self._read_alone(alike)
            else:
                index, table = next(iter(alike.items()))
                learn(schema, self.records.values.view(index), table.schema)
                self._divide(rows, alike)

    def _by_schema(self, tables: _Tables) -> Iterable[tuple[bytes, _Tables]]:
        alike: dict[bytes, dict[int, pa.Table]] = {}
        for index, table in tables.items():
            alike.setdefault(schema_of(self.records.values.view(index)), {})[index] = table
        return alike.items()

    def _read_alone(self, tables: _Tables) -> None:
        for index, table in tables.items():
            try:
                rows = columns(table)
            except Exception as error:
                self._break(index, error)
            else:
                self._divide(rows, {index: table})

    def _divide(self, rows: pa.Table, tables: _Tables) -> None:
        if not rows.num_rows:
            return
        place = places(self.records, list(tables), [table.num_rows for table in tables.values()])
        ticks, is_tick = _ticks(rows, place, self.max_future_ns)
        self.ticks.append(ticks)
        if not is_tick.all():
            others = frame(rows.filter(pa.array(~is_tick)))
            placed = pl.DataFrame({name: values[~is_tick] for name, values in place.items()})
            self.others.append(placed.hstack(others).select(*PARSED))


def _scanned(found: Ticks, records: Records, layout: Layout) -> pl.DataFrame:
    """Ticks as EVENTS. Their strings are not copied out of the records."""
    data = pa.py_buffer(records.values.data)
    columns: dict[str, Any] = {name: getattr(found, name) for name in ("record", "row", "src_ts")}
    columns["offset"] = records.offsets[found.record]
    for name in _KEPT:
        if layout.column[ROLES.index(name)] != ABSENT:
            values = getattr(found, name)
            columns[name] = _texts(values, data) if EVENTS[name] == pl.String else values
    return with_event_ids(_events(columns))


def _texts(views: _Ints, data: pa.Buffer) -> pa.Array:
    return pa.Array.from_buffers(pa.string_view(), len(views), [None, pa.py_buffer(views), data])


def _events(columns: Mapping[str, Any]) -> pl.DataFrame:
    """EVENTS of these columns and the constant columns of ticks."""
    count = len(columns["src_ts"])
    same = {name: value.new_from_index(0, count) for name, value in _DEFAULTS.items() if name not in columns}
    return pl.DataFrame([same[name] if name in same else pl.Series(name, columns[name]) for name in EVENTS])


def _ticks(rows: pa.Table, place: Mapping[str, _Ints], max_future_ns: int) -> tuple[pl.DataFrame, _Bools]:
    """The plain ticks as EVENTS, and whether each row is one."""
    if not set(_REQUIRED).issubset(rows.column_names):
        return NO_EVENTS, np.zeros(rows.num_rows, np.bool_)
    judged = rows.select([name for name in _JUDGED if name in rows.column_names])
    judged = judged.combine_chunks()  # processing chunks one by one takes longer than the copy
    values = {name: judged.column(name).chunk(0) for name in judged.column_names}
    times, is_time = _times(values)
    is_tick = is_time & in_time(times, place["record_ts"], max_future_ns) & _keeps_the_contract(values)
    found: dict[str, Any] = {"src_ts": times, **place} | {name: values[name] for name in _KEPT if name in values}
    ticks = _events(found)
    return with_event_ids(ticks if is_tick.all() else ticks.filter(is_tick)), is_tick


def _times(values: Mapping[str, pa.Array]) -> tuple[_Ints, _Bools]:
    """Nanoseconds of each row, and whether it has a time."""
    if "src_ts" in values:
        times = values["src_ts"]
        return times.fill_null(0).to_numpy(), ~_is_null(times)
    if "src_text" in values:
        parsed = parse_timestamps(pl.Series(pl.from_arrow(values["src_text"])))
        return parsed.fill_null(0).to_numpy(), parsed.is_not_null().to_numpy()
    count = len(values["kind"])
    return np.zeros(count, np.int64), np.zeros(count, np.bool_)


def _keeps_the_contract(values: Mapping[str, pa.Array]) -> _Bools:
    is_kept = _is_tick(values["kind"])
    is_kept &= _is_text(values["provider"]) & _is_text(values["symbol"])
    is_kept &= _is_between(values["c"], -MAX_PRICE, MAX_PRICE) & _is_between(values["v"], 0.0, MAX_VOLUME)
    if "event_id" in values:
        is_kept &= _is_text(values["event_id"]) | _is_null(values["event_id"])
    if "flaw" in values:
        is_kept &= _is_null(values["flaw"])
    return is_kept


def _is_tick(kinds: pa.LargeStringArray) -> _Bools:
    offsets, text = _laid_out(kinds)
    is_tick: _Bools = (np.diff(offsets) == len(_TICK)) & ~_is_null(kinds)
    letters = text if is_tick.all() else text[offsets[:-1][is_tick, None] + np.arange(len(_TICK))]
    is_tick[is_tick] = np.frombuffer(letters, np.uint32) == np.frombuffer(_TICK, np.uint32)
    return is_tick


def _is_text(texts: pa.LargeStringArray) -> _Bools:
    offsets, text = _laid_out(texts)
    lengths = np.diff(offsets)
    is_text: _Bools = (lengths > 0) & (lengths <= MAX_TEXT_BYTES) & ~_is_null(texts)
    if text.min(initial=1) == 0:
        is_text[np.searchsorted(offsets, np.flatnonzero(text == 0), side="right") - 1] = False
    return is_text


def _laid_out(texts: pa.LargeStringArray) -> tuple[_Ints, npt.NDArray[np.uint8]]:
    """The offsets of the strings, with the end of the last, and their bytes."""
    _, starts, data = texts.buffers()
    offsets = np.frombuffer(starts, np.int64, len(texts) + 1, 8 * texts.offset)
    return offsets - offsets[0], np.frombuffer(data or b"", np.uint8)[offsets[0] : offsets[-1]]


def _is_between(numbers: pa.DoubleArray, least: float, most: float) -> _Bools:
    values = numbers.to_numpy(zero_copy_only=False)  # NaN for null: outside of every range
    is_between: _Bools = (values >= least) & (values <= most)
    return is_between


def _is_null(values: pa.Array) -> _Bools:
    if values.null_count == 0:
        return np.zeros(len(values), np.bool_)
    is_null: _Bools = values.is_null().to_numpy(zero_copy_only=False)
    return is_null
