"""Columns of strings for compiled code: dictionary encoding and hashes.

Polars stores a string as an Arrow string view: two numbers that hold its length and up to twelve bytes, or its length,
its first four bytes and its address. So most symbols can be compared without a look elsewhere.

https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-view-layout
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from native.jit import compiled
from native.keyed_hash import Key, State, absorb, begin, begin_two, hash_of, new_key, two_hashes_of
from native.memory import eight_bytes
from native.ordering import Hashes, Ints

_INLINE: Final = 12  # bytes of a string that fit into a view
_LENGTH: Final = 0xFFFFFFFF  # the bits of a view that hold it
NOWHERE: Final = -1
_ROOM: Final = 64  # initial capacity, in strings

Bools = npt.NDArray[np.bool_]
_Places = npt.NDArray[np.int32]  # a hash table of the strings' numbers


class _Texts(NamedTuple):
    """A column.

    Attributes:
        views: of each string, one after the other.
        buffers: the addresses of the buffers that hold the longer strings.
    """

    views: Ints
    buffers: Ints


class _Known(NamedTuple):
    """Strings by number; arrays of one length, with spare capacity at the end.

    Attributes:
        first, second: a view; for a longer string it holds an address instead of buffer and offset.
        row: of its first occurrence in its batch.
    """

    first: Ints
    second: Ints
    row: Ints

    @classmethod
    def room(cls, count: int) -> _Known:
        return cls(*np.empty((3, count), np.int64))


def hashes(texts: pl.Series, key: Key) -> tuple[Hashes, Hashes]:
    """Two independent 64-bit hashes of each string; null counts as an empty string."""
    high, low = np.empty((2, len(texts)), np.uint64)
    _hash_all(_column(texts), key, high, low)
    return high, low


def equal(texts: pl.Series, text: str) -> Bools:
    """Which of the strings equal `text`, of at most twelve bytes; null never does."""
    encoded = text.encode()
    view = np.frombuffer(len(encoded).to_bytes(4, "little") + encoded.ljust(_INLINE, b"\0"), np.int64)
    column, found = _column(texts), np.empty(len(texts), np.bool_)
    _compare(column.views, int(view[0]), int(view[1]), found)
    return found


class Numbering:
    """A dictionary encoding: a number for each string, in the order of first occurrence.

    Args:
        texts: the known strings.
        most: how many strings get a number.
    """

    def __init__(self, texts: pl.Series | None = None, most: int = 2**31 - 1) -> None:
        self.texts: list[str] = []
        self._most = most
        self._key = new_key()
        self._known = _Known.room(0)
        self._places = np.zeros(0, np.int32)
        self._kept: list[npt.NDArray[np.uint8]] = []  # buffers of the longer strings
        if texts is not None:
            self.numbers(texts)

    def __len__(self) -> int:
        return len(self.texts)

    def numbers(self, texts: pl.Series) -> Ints:
        """The number of each string; new strings get the next one, or `NOWHERE` once there are `most`.

        Null counts as an empty string.
        """
        column, numbers, row = _column(texts), np.empty(len(texts), np.int64), 0
        while row < len(texts):
            self._make_room()
            known = self._places, self._key, self._known
            row, count = _number(column, row, known, (len(self), self._most), numbers)
            if count > len(self):
                self._keep([text or "" for text in texts[self._known.row[len(self) : count]].to_list()])
        return numbers

    def _make_room(self) -> None:
        count = len(self)
        if count < len(self._known.first):
            return
        room = _Known.room(2 * count + _ROOM)
        room.first[:count], room.second[:count] = self._known.first, self._known.second
        self._known, self._places = room, np.full(4 << (2 * count + _ROOM).bit_length(), NOWHERE, np.int32)
        _index(self._places, self._key, room.first, room.second, count)

    def _keep(self, new: list[str]) -> None:
        """Copy the longer of the new strings into a buffer that stays."""
        encoded = [text.encode() for text in new]
        lengths = np.array([len(text) for text in encoded], np.int64)
        kept = np.frombuffer(b"".join(encoded), np.uint8)
        is_long = lengths > _INLINE
        if is_long.any():
            self._kept.append(kept)
            addresses = kept.ctypes.data + np.cumsum(lengths) - lengths
            self._known.second[np.flatnonzero(is_long) + len(self)] = addresses[is_long]
        self.texts += new


def _column(texts: pl.Series) -> _Texts:
    if texts.null_count():
        texts = texts.fill_null("")
    column = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.newest())
    _, views, *buffers = column.buffers()
    place = slice(2 * column.offset, 2 * (column.offset + len(column)))
    # The array is exported as a whole, so a reference to its views keeps all of its buffers alive.
    addresses = [0 if buffer is None else buffer.address for buffer in buffers]
    return _Texts(np.frombuffer(views or b"", np.int64)[place], np.array(addresses, np.int64))


# The functions below take arrays one by one and are called seldom: passing an array passes seven numbers, and taking it
# out of a tuple in a loop costs a reference count.


@compiled
def _number(
    texts: _Texts, row: int, table: tuple[_Places, Key, _Known], counts: tuple[int, int], numbers: Ints
) -> tuple[int, int]:
    """Write the numbers from `row` on until the capacity is used up; return (next row, count of numbers).

    `counts` are that before, and its limit.
    """
    views, buffers = texts
    places, key, (firsts, seconds, rows) = table
    count, most = counts
    last, number = (-1, -1), NOWHERE  # not the view of any string
    while row < len(numbers):
        text = _view(views, buffers, row)
        if text[0] != last[0] or text[1] != last[1]:
            place = _place(places, firsts, seconds, text, _hash(text, key))
            if places[place] == NOWHERE and count < most:
                if count == len(firsts):
                    break
                firsts[count], seconds[count], rows[count] = text[0], text[1], row
                places[place] = count
                count += 1
            last, number = text, places[place]
        numbers[row] = number
        row += 1
    return row, count


@compiled
def _index(places: _Places, key: Key, firsts: Ints, seconds: Ints, count: int) -> None:
    for number in range(count):
        text = firsts[number], seconds[number]
        places[_place(places, firsts, seconds, text, _hash(text, key))] = number


@compiled
def _hash_all(texts: _Texts, key: Key, high: Hashes, low: Hashes) -> None:
    views, buffers = texts
    for row in range(len(high)):
        high[row], low[row] = two_hashes_of(_absorbed(begin_two(key), _view(views, buffers, row)))


@compiled
def _compare(views: Ints, first: int, second: int, found: Bools) -> None:
    for row in range(len(found)):
        found[row] = (views[2 * row] == first) & (views[2 * row + 1] == second)


@compiled
def _view(views: Ints, buffers: Ints, row: int) -> tuple[int, int]:
    """The view of a string, with the address of a longer one."""
    first, second = views[2 * row], views[2 * row + 1]
    if first & _LENGTH > _INLINE:
        second = buffers[second & _LENGTH] + (second >> 32)
    return first, second


@compiled
def _place(places: _Places, firsts: Ints, seconds: Ints, text: tuple[int, int], hashed: np.uint64) -> int:
    """The slot of the hash table that holds the number of a string, or is to hold it."""
    place = np.int64(hashed) & (len(places) - 1)
    while True:
        number = places[place]
        if number == NOWHERE or (firsts[number] == text[0] and _is_same(seconds[number], text)):
            return int(place)
        place = (place + 1) & (len(places) - 1)


@compiled
def _is_same(known: int, text: tuple[int, int]) -> bool:
    """Whether two strings are equal whose views have equal first halves, given the second halves."""
    length, second = text[0] & _LENGTH, text[1]
    if length <= _INLINE or known == second:
        return known == second
    for at in range(0, length - 8, 8):
        if eight_bytes(known + at) != eight_bytes(second + at):
            return False
    return eight_bytes(known + length - 8) == eight_bytes(second + length - 8)


@compiled
def _hash(text: tuple[int, int], key: Key) -> np.uint64:
    return hash_of(_absorbed(begin(key), text))


@compiled
def _absorbed(state: State, text: tuple[int, int]) -> State:
    """The state after a whole string, its length first."""
    first, second = text
    length = first & _LENGTH
    state = absorb(state, np.uint64(first))
    if length <= _INLINE:
        return absorb(state, np.uint64(second))
    end = second + length - 8  # the last eight bytes; some may be absorbed twice
    for at in range(second, end, 8):
        state = absorb(state, np.uint64(eight_bytes(at)))
    return absorb(state, np.uint64(eight_bytes(end)))


def _warm_up() -> None:
    """Load the compiled code at import, rather than at the first use."""
    text = pl.Series([""])
    Numbering(text)
    hashes(text, new_key())
    equal(text, "")


_warm_up()
