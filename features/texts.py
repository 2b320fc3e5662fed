"""Columns of texts for compiled code: numbers for them, and hashes.

Polars keeps a text as Arrow's string view: two numbers, which hold its length and up to twelve bytes, or its length,
its first four bytes, and where it lies. So most symbols are told apart without looking any further.

https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-view-layout
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.jit import compiled
from contracts.memory import eight_bytes, folded_product
from features.ordering import Hashes, Ints

_INLINE: Final = 12  # bytes of a text that fit into a view
_LENGTH: Final = 0xFFFFFFFF  # the bits of a view that hold it
_NOWHERE: Final = -1
_ROOM: Final = 64  # texts, at first
# Odd numbers without a pattern, half of whose bits are set: those of wyhash (Wang Yi, 2019).
_SECRETS: Final = tuple(
    np.uint64(secret)
    for secret in (0xA0761D6478BD642F, 0xE7037ED1A0B428DB, 0x8EBC6AF09C88C6E3, 0x589965CC75374CC3, 0x1D8E4E27C47D124F)
)

Bools = npt.NDArray[np.bool_]
_Places = npt.NDArray[np.int32]  # a table of hashing: numbers of texts


class _Texts(NamedTuple):
    """A column.

    Attributes:
        views: of each text, one after the other.
        buffers: the addresses of what holds the longer texts.
    """

    views: Ints
    buffers: Ints


class _Known(NamedTuple):
    """Texts by number; arrays of one length, with room after the last of them.

    Attributes:
        first, second: a view, in which the address of a longer text is in the place of where it lies.
        row: in the batch that it came with.
    """

    first: Ints
    second: Ints
    row: Ints

    @classmethod
    def room(cls, count: int) -> _Known:
        return cls(*np.empty((3, count), np.int64))


def hashes(texts: pl.Series, seed: int) -> tuple[Hashes, Hashes]:
    """Twice 64 bits of hash over each text, which know nothing of each other; null counts as an empty text."""
    high, low = np.empty((2, len(texts)), np.uint64)
    _hash_all(_column(texts), seed, high, low)
    return high, low


def are(texts: pl.Series, text: str) -> Bools:
    """Which of the texts are this one, of at most twelve bytes; null is none."""
    encoded = text.encode()
    view = np.frombuffer(len(encoded).to_bytes(4, "little") + encoded.ljust(_INLINE, b"\0"), np.int64)
    column, found = _column(texts), np.empty(len(texts), np.bool_)
    _compare(column.views, int(view[0]), int(view[1]), found)
    return found


class Numbering:
    """A number for each text, in the order in which they were first seen."""

    def __init__(self, texts: pl.Series | None = None) -> None:
        self.texts: list[str] = []
        self._known = _Known.room(0)
        self._places = np.zeros(0, np.int32)
        self._kept: list[npt.NDArray[np.uint8]] = []  # what holds the longer texts
        if texts is not None:
            self.numbers(texts)

    def __len__(self) -> int:
        return len(self.texts)

    def numbers(self, texts: pl.Series) -> Ints:
        """The number of each text; new texts get one. Null counts as an empty text."""
        column, numbers, row = _column(texts), np.empty(len(texts), np.int64), 0
        while row < len(texts):
            self._make_room()
            row, count = _number(column, row, (self._places, self._known), len(self), numbers)
            if count > len(self):
                self._keep([text or "" for text in texts[self._known.row[len(self) : count]].to_list()])
        return numbers

    def _make_room(self) -> None:
        count = len(self)
        if count < len(self._known.first):
            return
        room = _Known.room(2 * count + _ROOM)
        room.first[:count], room.second[:count] = self._known.first, self._known.second
        self._known, self._places = room, np.full(4 << (2 * count + _ROOM).bit_length(), _NOWHERE, np.int32)
        _index(self._places, room.first, room.second, count)

    def _keep(self, new: list[str]) -> None:
        """Has the longer of the new texts lie where they stay."""
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
    # The array came as one, so whoever holds its views keeps all of it alive.
    addresses = [0 if buffer is None else buffer.address for buffer in buffers]
    return _Texts(np.frombuffer(views or b"", np.int64)[place], np.array(addresses, np.int64))


# Below, arrays come one by one, and by few calls: each is seven numbers to hand over, and to take one out of a tuple
# in a loop counts one more reference to it.


@compiled
def _number(texts: _Texts, row: int, tables: tuple[_Places, _Known], count: int, numbers: Ints) -> tuple[int, int]:
    """Writes down the numbers from a row on until there is no room left; (the row it came to, how many there are)."""
    views, buffers = texts
    places, (firsts, seconds, rows) = tables
    last, number = (-1, -1), _NOWHERE  # no text has such a view
    while row < len(numbers):
        text = _view(views, buffers, row)
        if text[0] != last[0] or text[1] != last[1]:
            place = _place(places, firsts, seconds, text, _hash(text, 0)[0])
            if places[place] == _NOWHERE:
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
def _index(places: _Places, firsts: Ints, seconds: Ints, count: int) -> None:
    for number in range(count):
        text = firsts[number], seconds[number]
        places[_place(places, firsts, seconds, text, _hash(text, 0)[0])] = number


@compiled
def _hash_all(texts: _Texts, seed: int, high: Hashes, low: Hashes) -> None:
    views, buffers = texts
    for row in range(len(high)):
        text = _view(views, buffers, row)
        high[row], low[row] = _hash(text, seed)


@compiled
def _compare(views: Ints, first: int, second: int, found: Bools) -> None:
    for row in range(len(found)):
        found[row] = (views[2 * row] == first) & (views[2 * row + 1] == second)


@compiled
def _view(views: Ints, buffers: Ints, row: int) -> tuple[int, int]:
    """With the address of a longer text."""
    first, second = views[2 * row], views[2 * row + 1]
    if first & _LENGTH > _INLINE:
        second = buffers[second & _LENGTH] + (second >> 32)
    return first, second


@compiled
def _place(places: _Places, firsts: Ints, seconds: Ints, text: tuple[int, int], hashed: np.uint64) -> int:
    """Where in a table the number of a text is, or has to be."""
    place = np.int64(hashed) & (len(places) - 1)
    while True:
        number = places[place]
        if number == _NOWHERE or (firsts[number] == text[0] and _is_same(seconds[number], text)):
            return int(place)
        place = (place + 1) & (len(places) - 1)


@compiled
def _is_same(known: int, text: tuple[int, int]) -> bool:
    """Whether the second halves of the views of two texts say the same, whose first halves do."""
    length, second = text[0] & _LENGTH, text[1]
    if length <= _INLINE or known == second:
        return known == second
    for at in range(0, length - 8, 8):
        if eight_bytes(known + at) != eight_bytes(second + at):
            return False
    return eight_bytes(known + length - 8) == eight_bytes(second + length - 8)


@compiled
def _hash(text: tuple[int, int], seed: int) -> tuple[np.uint64, np.uint64]:
    """Two as in wyhash: of each 16 bytes the folded product, which goes into the next."""
    first, second = text
    length = first & _LENGTH
    high = (np.uint64(seed) + _SECRETS[0]) * _SECRETS[1]
    low = (np.uint64(seed) + _SECRETS[2]) * _SECRETS[3]
    if length <= _INLINE:
        one, other = np.uint64(first), np.uint64(second)
    else:
        high, low = high ^ np.uint64(length), low ^ np.uint64(length)
        for at in range(second, second + length - 16, 16):
            one, other = np.uint64(eight_bytes(at)), np.uint64(eight_bytes(at + 8))
            high = folded_product(one ^ _SECRETS[0], other ^ high)
            low = folded_product(one ^ _SECRETS[1], other ^ low)
        # The last 16 bytes, some of which may have been there before; of 13 to 15 the first eight and the last.
        end = second + length
        one, other = np.uint64(eight_bytes(max(second, end - 16))), np.uint64(eight_bytes(end - 8))
    high = folded_product(one ^ _SECRETS[2], other ^ high)
    low = folded_product(one ^ _SECRETS[3], other ^ low)
    return folded_product(high ^ _SECRETS[1], _SECRETS[4]), folded_product(low ^ _SECRETS[2], _SECRETS[4])


def _warm_up() -> None:
    """Loads the compiled code now, rather than when it is needed."""
    text = pl.Series([""])
    Numbering(text)
    hashes(text, 0)
    are(text, "")


_warm_up()
