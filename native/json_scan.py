"""Plain JSON objects to columns, byte by byte: 0.3 µs per event, a quarter of the time with an object for each event.

What is read is what a `native.json_fields.Scanner` has taken from a declaration. Only a record that is certain to hold
a message that satisfies it is read: its strings printable ASCII without escapes, every required field present, none
repeated, and no object or list where none is declared. Every other record, valid or not, is left to the general
decoder, so nothing here rejects a message. A scan ends at any unexpected byte, such as the zero byte after each
payload: it needs no other limit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.event import TIME_BOUND
from contracts.event_rules import latest
from contracts.record import Records
from native.iso_time import time_at
from native.jit import compiled, inlined
from native.json_fields import (
    BIT,
    CHOICE,
    CHOICE_COUNT,
    CHOICE_WORDS,
    COLUMN,
    FIELD_BYTES,
    FIELDS,
    FIRST,
    GIVEN,
    INSIDE,
    INTEGER,
    IS_NULLABLE,
    KEPT_IN,
    KIND,
    LEAST,
    LENGTHS,
    LONG,
    MOST,
    NUMBER,
    OBJECT,
    REQUIRED,
    ROOT,
    SECOND,
    SLOTS,
    SLOTS_BITS,
    SPREAD,
    TEXT,
    TIME,
    WHEN,
    WORDS,
    Scanner,
)
from native.json_text import WRONG, after_space, is_digit, nearest_float, number_at, plain_ends, text_end
from native.memory import byte, eight_bytes, four_bytes, lowest_bit, store

_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float64]
_Bytes = npt.NDArray[np.uint8]
_Key = tuple[int, int, int]  # the first and second eight bytes of a key, the position after its colon

_QUOTE, _COMMA, _COLON, _OPEN, _CLOSE, _MINUS = map(ord, '",:{}-')
_OTHER: Final = 0  # as the address of a field that is not declared
_REST: Final = 64 - SLOTS_BITS
_GIVEN, _LONG = 8 * GIVEN, 8 * LONG
_TRUE, _FALS, _NULL = (int.from_bytes(word, "little") for word in (b"true", b"fals", b"null"))
_MASKS: Final = np.array([(1 << 8 * count) - 1 for count in range(8)] + [-1])  # of the first 0 to 8 bytes of a word


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a scan has found in records; arrays of one length.

    Strings are given by their address, which is valid as long as the records; an absent one has length 0. A number that
    is long still has to be parsed from its text and validated.

    Attributes:
        scanner: that has been used.
        record: its index.
        is_plain: whether it has been read; all others are valid only where it is true.
        cells: a row for each record, as `Scanner` lays it out.
    """

    scanner: Scanner
    record: _Ints
    offset: _Ints
    is_plain: _Bools
    cells: _Ints

    def plain(self) -> Found:
        """Those that have been read."""
        if self.is_plain.all():
            return self
        which = self.is_plain
        return replace(
            self, record=self.record[which], offset=self.offset[which], is_plain=which[which], cells=self.cells[which]
        )

    def has(self, name: str) -> _Bools:
        """Where the field is there, and not null."""
        given: _Bools = (self.cells[:, GIVEN] & self.scanner.bit(name)) != 0
        return given

    def integers(self, name: str) -> _Ints:
        return self.cells[:, self.scanner.column(name)]

    def numbers(self, name: str) -> _Floats:
        """Not a number where it is long."""
        return self.cells.view(np.float64)[:, self.scanner.column(name)]

    def texts(self, name: str) -> tuple[_Ints, _Ints]:
        """Addresses and lengths."""
        column = self.scanner.column(name)
        return self.cells[:, column], self.cells[:, column + 1]

    def long_numbers(self, name: str) -> tuple[_Ints, _Ints, _Ints]:
        """The rows of plain records in which the number is long, the addresses and the lengths of their texts."""
        rows = np.flatnonzero(self.is_plain & ((self.cells[:, LONG] & self.scanner.bit(name)) != 0))
        column = self.scanner.column(name)
        return rows, self.cells[rows, column + 1], self.cells[rows, column + 2]


def scan(records: Records, scanner: Scanner, max_future_ns: int) -> Found:
    """What is found in each record.

    The event's time, which is the first of what is kept, may be at most `max_future_ns` after the record's own
    timestamp.
    """
    count, values = len(records), records.values
    cells, is_plain = np.zeros((count, scanner.width), np.int64), np.zeros(count, np.bool_)
    bound = latest(records.times(), max_future_ns)
    _scan((values.data, values.starts, values.lengths), bound, scanner.table, cells, is_plain)
    return Found(scanner, np.arange(count), records.offsets, is_plain, cells)


@compiled
def _scan(values: tuple[_Bytes, _Ints, _Ints], bound: _Ints, table: _Ints, cells: _Ints, is_plain: _Bools) -> None:
    data, starts, lengths = values
    for row in range(len(starts)):
        start, found = data.ctypes.data + starts[row], cells.ctypes.data + row * cells.strides[0]
        is_object = _scan_object(start, start + lengths[row], table.ctypes.data, found)
        is_plain[row] = is_object and -TIME_BOUND <= cells[row, WHEN] <= bound[row]


# Below, `table`, `inside`, `field` and `found` are addresses: of the scanner's table, of an object and a field in it,
# and of a row of cells.


@compiled
def _scan_object(at: int, end: int, table: int, found: int) -> bool:
    """Read the fields of an object into `found`; return whether they are exactly those that are declared."""
    root = inside = table + ROOT
    met = 0
    if byte(at) != _OPEN:
        return False
    at = after_space(at + 1)
    while byte(at) == _QUOTE:
        at, met, after = _member(at, met, inside, table, found)
        if at == WRONG:
            return False
        if after != inside:  # in front of the first member of an object, or of its end
            inside = after
            if byte(at) != _CLOSE:
                continue
        at = after_space(at)
        if inside != root and byte(at) == _CLOSE and _is_complete(met, inside):
            at, inside = _after_inner(at + 1, inside, found), root
        if inside == root and byte(at) == _CLOSE:
            store(found + _GIVEN, met & ~eight_bytes(found + _GIVEN))
            return _is_complete(met, root) and after_space(at + 1) == end
        if byte(at) != _COMMA:
            return False
        at = after_space(at + 1)
    return False


@inlined
def _is_complete(met: int, inside: int) -> bool:
    """Whether the required fields of an object are among those that were met."""
    required = eight_bytes(inside + REQUIRED)
    return met & required == required


@inlined
def _member(at: int, met: int, inside: int, table: int, found: int) -> tuple[int, int, int]:
    """Read a key and its value; return the position after them or WRONG, the fields met, the object it is in then."""
    first, second, at = _key(at + 1)
    if at == WRONG:
        return WRONG, met, inside
    at, field = after_space(at), _field(inside, eight_bytes(table), first, second)
    if field == _OTHER:
        return _after_other(at), met, inside
    bit = eight_bytes(field + BIT)
    if met & bit:
        return WRONG, met, inside
    if byte(at) == _OPEN and eight_bytes(field + KIND) == OBJECT:
        inner = table + eight_bytes(field + INSIDE)
        column = eight_bytes(inner + KEPT_IN)
        if column >= 0:
            store(found + column, at)
        return after_space(at + 1), met | bit, inner
    return _take(at, field, found), met | bit, inside


@inlined
def _after_inner(at: int, inside: int, found: int) -> int:
    """Note the end of an inner object; return the position of what follows."""
    column = eight_bytes(inside + KEPT_IN)
    if column >= 0:
        store(found + column + 8, at - eight_bytes(found + column))
    return after_space(at)


@inlined
def _take(at: int, field: int, found: int) -> int:
    """Read a field's value; return the position after it, or WRONG if it is not plain or not as declared."""
    if byte(at) == _QUOTE:
        end = text_end(at + 1)
        return end + 1 if byte(end) == _QUOTE and _take_text(at + 1, end - at - 1, field, found) else WRONG
    if byte(at) == _MINUS or is_digit(byte(at)):
        return _take_number(at, field, found)
    if four_bytes(at) == _NULL and eight_bytes(field + IS_NULLABLE):
        store(found + _GIVEN, eight_bytes(found + _GIVEN) | eight_bytes(field + BIT))  # inverted at the end
        return at + 4
    return WRONG


@compiled
def _after_other(at: int) -> int:
    """The position after a value that is not read, or WRONG if it is not plain."""
    if byte(at) == _QUOTE:
        end = text_end(at + 1)
        return end + 1 if byte(end) == _QUOTE else WRONG
    if byte(at) == _MINUS or is_digit(byte(at)):
        return number_at(at)[0]
    word = four_bytes(at)
    if word in (_NULL, _TRUE):
        return at + 4
    return at + 5 if word == _FALS and byte(at + 4) == ord("e") else WRONG


@inlined
def _take_text(at: int, length: int, field: int, found: int) -> bool:
    kind, column = eight_bytes(field + KIND), eight_bytes(field + COLUMN)
    if kind == TEXT:
        if column >= 0:
            store(found + column, at)
            store(found + column + 8, length)
        return eight_bytes(field + LEAST) <= length <= eight_bytes(field + MOST)
    if kind == TIME:
        time, is_time = time_at(at, length)
        if column >= 0:
            store(found + column, time)
        return is_time
    if kind == CHOICE:
        choice = _choice(at, length, field)
        if column >= 0:
            store(found + column, choice)
        return choice > 0
    return False


@compiled
def _choice(at: int, length: int, field: int) -> int:
    """The number of the choice that a text is, from 1 on; 0 if it is none."""
    for choice in range(eight_bytes(field + CHOICE_COUNT)):
        if eight_bytes(field + LENGTHS + 8 * choice) == length:
            differ = 0
            for word in range((length + 7) >> 3):
                text = eight_bytes(at + 8 * word) & _MASKS[min(length - 8 * word, 8)]
                differ |= text ^ eight_bytes(field + CHOICE_WORDS + 8 * (choice * WORDS + word))
            if differ == 0:
                return choice + 1
    return 0


@compiled
def _take_number(at: int, field: int, found: int) -> int:
    end, digits, power, is_negative, is_whole = number_at(at)
    kind, column = eight_bytes(field + KIND), eight_bytes(field + COLUMN)
    least, most = eight_bytes(field + LEAST), eight_bytes(field + MOST)
    if kind == NUMBER:
        number, is_long = nearest_float(digits, power, is_negative)
        if column >= 0:
            store(found + column, int(np.float64(number).view(np.int64)))
            if is_long:
                store(found + _LONG, eight_bytes(found + _LONG) | eight_bytes(field + BIT))
                store(found + column + 8, at)
                store(found + column + 16, end - at)
        is_within = np.int64(least).view(np.float64) <= number <= np.int64(most).view(np.float64)  # no long one is
        return end if is_within or (is_long and column >= 0) else WRONG
    if kind == INTEGER:
        whole = -digits if is_negative else digits
        if column >= 0:
            store(found + column, whole)
        return end if is_whole and power == 0 and least <= whole <= most else WRONG
    return WRONG


@inlined
def _key(at: int) -> _Key:
    """Return a key's first and second eight bytes, 0 if it has more than sixteen; the position after its colon."""
    first, second = eight_bytes(at), 0
    ends = plain_ends(first)
    if ends != 0:
        length = lowest_bit(ends) >> 3
        first, end = first & _MASKS[length], at + length
    else:
        second = eight_bytes(at + 8)
        ends = plain_ends(second)
        if ends != 0:
            length = lowest_bit(ends) >> 3
            second, end = second & _MASKS[length], at + 8 + length
        else:
            end = text_end(at + 16)
            first = first if end == at + 16 else 0
    colon = after_space(end + 1)
    return first, second, colon + 1 if byte(end) == _QUOTE and byte(colon) == _COLON else WRONG


@inlined
def _field(inside: int, multiplier: int, first: int, second: int) -> int:
    """The field of an object that has this name; _OTHER if none is declared."""
    hashed = (((first ^ (second * SPREAD)) * multiplier) >> _REST) & (SLOTS - 1)
    field = inside + FIELDS + hashed * FIELD_BYTES
    return field if eight_bytes(field + FIRST) == first and eight_bytes(field + SECOND) == second else _OTHER
