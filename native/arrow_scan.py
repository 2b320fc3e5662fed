"""Arrow records of plain ticks to columns, straight from their bytes: at a tenth of the cost of opening them.

A stream is read here only if its layout is that of one that PyArrow has read (see `native.arrow_layout`) and every row
is certain to be a tick that satisfies the contract: ASCII strings, no nulls in the columns that are read. Every other
stream, valid or not, is left to the general decoder, so nothing here rejects a record. Lengths and offsets that a
stream declares are checked against its bytes; columns that are not read are checked for the faults that PyArrow would
report, too.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from contracts.binary import BinaryColumn
from contracts.budgets import RECORD_BYTES, RECORD_ROWS
from contracts.event import TIME_BOUND, scanned
from contracts.values import MAX_PRICE, MAX_TEXT_BYTES, MAX_VOLUME
from native.arrow_layout import ABSENT, EVENT_ID, KIND, PREFIX, PROVIDER, SEQ, SYMBOL, TIME, C, Layout, V
from native.jit import compiled
from native.memory import byte, copy, eight_bytes, four_bytes

NOT_PLAIN: Final = -1
OTHER: Final = -2  # has another layout
MAX_BYTES: Final = 2**31  # of all records: the offset of a string in them has 32 bits

_END: Final = 0xFFFFFFFF  # of a stream: the continuation marker, and no length
_INLINE: Final = 12  # bytes of a string that fit into a view
_MASKS: Final = np.array([(1 << 8 * count) - 1 for count in range(8)] + [-1])  # of the first 0 to 8 bytes of a word
_TICK: Final = int.from_bytes(b"tick", "little")
_ONES, _HIGH_BITS = (int.from_bytes(bytes([each]) * 8, "little", signed=True) for each in (1, 0x80))

_Ints = npt.NDArray[np.int64]
_Bytes = npt.NDArray[np.uint8]
_Floats = npt.NDArray[np.float64]


class Ticks(NamedTuple):
    """Rows; arrays of one length.

    Attributes:
        record: its index in the fetch.
        provider, symbol, event_id: as in Arrow's layout of string views, two numbers each; buffer 0 is `data`.
    """

    record: _Ints
    row: _Ints
    src_ts: _Ints
    c: _Floats
    v: _Floats
    seq: _Ints
    provider: _Ints
    symbol: _Ints
    event_id: _Ints

    @classmethod
    def room(cls, count: int) -> Ticks:
        ints, floats, views = np.empty((4, count), np.int64), np.empty((2, count)), np.empty((3, count, 2), np.int64)
        return cls(ints[0], ints[1], ints[2], floats[0], floats[1], ints[3], views[0], views[1], views[2])

    def first(self, count: int) -> Ticks:
        return Ticks._make(column[:count] for column in self)


scanned(*(name for name in Ticks._fields if name not in ("record", "row")), "kind")  # which is the same for all


class _Streams(NamedTuple):
    """Records, as arrays of one length, and the address of the buffer that contains them all.

    Attributes:
        record: its index in the fetch.
        start, end: addresses.
        latest: the last event time that a tick may have.
    """

    data: int
    record: _Ints
    start: _Ints
    end: _Ints
    latest: _Ints


class _Batch(NamedTuple):
    """A batch that lies within its stream.

    Attributes:
        at, body: the addresses of its message and of its body.
        rows: its row count.
    """

    at: int
    body: int
    rows: int
    layout: Layout


def row_counts(values: BinaryColumn, chosen: _Ints, layout: Layout) -> _Ints:
    """The row count that each of the chosen records declares within its bytes; or NOT_PLAIN, or OTHER."""
    return _counted(values, chosen, chosen, layout)[1]


def scan(values: BinaryColumn, chosen: _Ints, latest: _Ints, layout: Layout) -> tuple[Ticks, _Ints]:
    """Return (the ticks of the chosen records; for each record its count of ticks, or NOT_PLAIN, or OTHER).

    `latest` is the last event time, in nanoseconds, that a tick of each chosen record may have.
    """
    streams, counts = _counted(values, chosen, latest, layout)
    ticks = Ticks.room(int(counts.sum(where=counts > 0)))
    return ticks.first(_fill(streams, layout, counts, ticks)), counts


def _counted(values: BinaryColumn, chosen: _Ints, latest: _Ints, layout: Layout) -> tuple[_Streams, _Ints]:
    data = values.data.ctypes.data
    start = data + values.starts[chosen]
    streams = _Streams(data, chosen, start, start + values.lengths[chosen], latest)
    counts = np.full(len(chosen), NOT_PLAIN, np.int64)
    if len(values.data) < MAX_BYTES:
        _count(streams, layout, counts)
    return streams, counts


@compiled
def _count(streams: _Streams, layout: Layout, counts: _Ints) -> None:
    for stream in range(len(counts)):
        counts[stream] = _rows(streams.start[stream] + layout.start, streams.end[stream], layout)


@compiled
def _fill(streams: _Streams, layout: Layout, counts: _Ints, ticks: Ticks) -> int:
    """Write the ticks of the streams that have rows; those of a stream that is not plain are overwritten."""
    total = 0
    for stream in range(len(counts)):
        row, end = total, total + max(counts[stream], 0)
        at = streams.start[stream] + layout.start
        while row < end:
            batch = _batch(at, layout)
            if not _take(batch, streams.data, streams.latest[stream], ticks, row):
                counts[stream] = NOT_PLAIN
                break
            row += batch.rows
            at = batch.body + eight_bytes(at + layout.body_length)
        if row == end:
            for place in range(total, end):
                ticks.record[place], ticks.row[place] = streams.record[stream], place - total
            total = end
    return total


@compiled
def _batch(at: int, layout: Layout) -> _Batch:
    return _Batch(at, at + len(layout.head), eight_bytes(at + layout.rows), layout)


@compiled
def _rows(at: int, end: int, layout: Layout) -> int:
    """The row count of all batches of a stream, if all of it lies within its bytes."""
    rows, room = 0, RECORD_BYTES
    while at + PREFIX < end:
        if not _is_alike(at, end, layout):
            return OTHER if rows == 0 else NOT_PLAIN
        batch, length = _batch(at, layout), eight_bytes(at + layout.body_length)
        # A batch without rows would not advance the loop over rows.
        if not (0 < batch.rows <= RECORD_ROWS - rows and 0 <= length <= end - batch.body and _fits(batch, length)):
            return NOT_PLAIN
        rows += batch.rows
        room -= _nbytes(batch)
        if room < 0:
            return NOT_PLAIN
        at = batch.body + length
    return rows if rows and at + PREFIX == end and eight_bytes(at) == _END else NOT_PLAIN


@compiled
def _is_alike(at: int, end: int, layout: Layout) -> bool:
    """Whether the message at `at` differs from the layout's in its numbers only."""
    length = len(layout.head)
    if end - at < length:
        return False
    head, is_fixed = layout.head.ctypes.data, layout.is_fixed.ctypes.data
    differing = 0
    for place in range(0, length, 8):
        differing |= (eight_bytes(at + place) ^ eight_bytes(head + place)) & eight_bytes(is_fixed + place)
    return differing == 0


@compiled
def _fits(batch: _Batch, length: int) -> bool:
    """Whether all columns have the batch's row count, and their buffers lie in the body and are long enough."""
    for column in range(len(batch.layout.bits)):
        first, is_text = batch.layout.first_buffer[column], batch.layout.is_text[column]
        rows, nulls = _lengths(batch, column)
        if rows != batch.rows or not 0 <= nulls <= rows:
            return False
        for buffer in range(first, first + 2 + is_text):
            start, size = _span(batch, buffer)
            if start < 0 or start % 8 or size < 0 or start > length or size > length - start:
                return False
        values = (rows + is_text) * batch.layout.bits[column]
        if (nulls and 8 * _span(batch, first)[1] < rows) or 8 * _span(batch, first + 1)[1] < values:
            return False
    return True


@compiled
def _nbytes(batch: _Batch) -> int:
    """Bytes of all buffers; buffers that share memory count each."""
    nbytes = 0
    for buffer in range(2 * len(batch.layout.bits) + batch.layout.is_text.sum()):
        nbytes += _span(batch, buffer)[1]
    return nbytes


@compiled
def _lengths(batch: _Batch, column: int) -> tuple[int, int]:
    """Return (rows, nulls) of a column."""
    place = batch.at + batch.layout.nodes + 16 * column
    return eight_bytes(place), eight_bytes(place + 8)


@compiled
def _span(batch: _Batch, buffer: int) -> tuple[int, int]:
    """Return (start in the body, length) of a buffer."""
    place = batch.at + batch.layout.buffers + 16 * buffer
    return eight_bytes(place), eight_bytes(place + 8)


@compiled
def _buffer(batch: _Batch, column: int, which: int) -> int:
    """The address of one buffer of a column: its validity bitmap, its values or offsets, or its string data."""
    return batch.body + _span(batch, batch.layout.first_buffer[column] + which)[0]


@compiled
def _offset(offsets: int, place: int, bits: int) -> int:
    """An offset; a negative one of 32 bits comes out too large for any buffer."""
    return eight_bytes(offsets + 8 * place) if bits == 64 else four_bytes(offsets + 4 * place)


@compiled
def _take(batch: _Batch, data: int, latest: int, ticks: Ticks, row: int) -> bool:
    """Write the rows of a batch from `row` on; return whether all are plain, and so are the columns not read."""
    column, end = batch.layout.column, row + batch.rows
    for each in range(len(batch.layout.bits)):
        if not _is_valid(batch, each):
            return False
    for each in column:
        if each != ABSENT and _lengths(batch, each)[1]:
            return False
    return (
        _are_ticks(batch, column[KIND])
        and _take_texts(batch, column[PROVIDER], data, ticks.provider[row:end])
        and _take_texts(batch, column[SYMBOL], data, ticks.symbol[row:end])
        and _take_texts(batch, column[EVENT_ID], data, ticks.event_id[row:end])
        and _take_times(batch, column[TIME], latest, ticks.src_ts[row:end])
        and _take_numbers(batch, column[C], -MAX_PRICE, MAX_PRICE, ticks.c[row:end])
        and _take_numbers(batch, column[V], 0.0, MAX_VOLUME, ticks.v[row:end])
        and _take_wholes(batch, column[SEQ], ticks.seq[row:end])
    )


@compiled
def _is_valid(batch: _Batch, column: int) -> bool:
    """Whether a column has as many nulls as it declares, and its strings lie within their buffer and are plain."""
    nulls = _lengths(batch, column)[1]
    if nulls and _nulls(_buffer(batch, column, 0), batch.rows) != nulls:
        return False
    return not batch.layout.is_text[column] or _are_plain(batch, column)


@compiled
def _nulls(validity: int, count: int) -> int:
    """How many of the first `count` bits are not set."""
    nulls = 0
    for row in range(count):
        nulls += 1 - ((byte(validity + (row >> 3)) >> (row & 7)) & 1)
    return nulls


@compiled
def _are_plain(batch: _Batch, column: int) -> bool:
    offsets, bits = _buffer(batch, column, 1), batch.layout.bits[column]
    start = end = _offset(offsets, 0, bits)
    falls = 0
    for row in range(1, batch.rows + 1):
        before, end = end, _offset(offsets, row, bits)
        falls |= (end - before) | end  # a difference of two that are not negative fits
    if start < 0 or falls < 0 or end > _span(batch, batch.layout.first_buffer[column] + 2)[1]:
        return False
    text = _buffer(batch, column, 2)
    return _is_plain(text + start, text + end)


@compiled
def _is_plain(at: int, end: int) -> bool:
    """Whether all bytes from `at` to `end` are ASCII and none is zero."""
    odd, rest = 0, (end - at) & 7
    for place in range(at, end - rest, 8):
        odd |= _odd(eight_bytes(place))
    last = (eight_bytes(end - rest) & _MASKS[rest]) | (_ONES & ~_MASKS[rest])
    return (odd | _odd(last)) & _HIGH_BITS == 0


@compiled
def _odd(eight: int) -> int:
    """Nonzero if one of eight bytes is zero or not ASCII (S. E. Anderson, Bit Twiddling Hacks)."""
    return ((eight - _ONES) & ~eight) | eight


@compiled
def _are_ticks(batch: _Batch, column: int) -> bool:
    offsets, bits, text = _buffer(batch, column, 1), batch.layout.bits[column], _buffer(batch, column, 2)
    differing = 0
    for row in range(batch.rows):
        start = _offset(offsets, row, bits)
        differing |= (_offset(offsets, row + 1, bits) - start) ^ 4
        differing |= four_bytes(text + start) ^ _TICK
    return differing == 0


@compiled
def _take_texts(batch: _Batch, column: int, data: int, views: _Ints) -> bool:
    """Write a view of each string; return whether every length is allowed."""
    if column == ABSENT:
        return True
    offsets, bits, text = _buffer(batch, column, 1), batch.layout.bits[column], _buffer(batch, column, 2)
    odd, end = 0, _offset(offsets, 0, bits)
    for row in range(len(views)):
        start, end = end, _offset(offsets, row + 1, bits)
        length = end - start
        odd |= (length - 1) | (MAX_TEXT_BYTES - length)
        first, rest = eight_bytes(text + start), (text + start - data) << 32
        if length <= _INLINE:
            first &= _MASKS[min(length, 8)]
            rest = eight_bytes(text + start + 4) & _MASKS[max(length - 4, 0)]
        views[row, 0], views[row, 1] = length | (first << 32), rest
    return odd >= 0


@compiled
def _take_times(batch: _Batch, column: int, latest: int, times: _Ints) -> bool:
    source, unit = _buffer(batch, column, 1), batch.layout.unit_ns
    lowest = highest = eight_bytes(source)
    for row in range(len(times)):
        units = eight_bytes(source + 8 * row)
        lowest, highest = min(lowest, units), max(highest, units)
        times[row] = units * unit
    return lowest >= -(TIME_BOUND // unit) and highest <= latest // unit


@compiled
def _take_numbers(batch: _Batch, column: int, least: float, most: float, numbers: _Floats) -> bool:
    copy(_buffer(batch, column, 1), numbers.ctypes.data, 8 * len(numbers))
    within = 0
    for number in numbers:
        within += (number >= least) & (number <= most)
    return within == len(numbers)


@compiled
def _take_wholes(batch: _Batch, column: int, numbers: _Ints) -> bool:
    if column != ABSENT:
        copy(_buffer(batch, column, 1), numbers.ctypes.data, 8 * len(numbers))
    return True


def _warm_up() -> None:
    """Load the compiled code at import, rather than with the first event."""
    none, nothing = np.zeros(0, np.int64), np.zeros(0, np.uint8)
    layout = Layout(0, nothing, nothing, 0, 0, 0, 0, none, np.zeros(0, np.bool_), none, none, 1)
    scan(BinaryColumn.of([]), none, none, layout)


_warm_up()
