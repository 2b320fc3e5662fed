"""The tokens of JSON texts, byte by byte, for compiled scans.

Texts are plain ones: printable ASCII without escapes. A token ends at any byte that it cannot hold, such as the zero
byte after each payload: it needs no other limit.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from native.jit import compiled
from native.memory import byte, eight_bytes, lowest_bit

Number = tuple[int, int, int, bool, bool]  # end of a number, its digits, power of ten, whether negative, whole

WRONG: Final = -1

_QUOTE, _MINUS, _PLUS, _POINT, _ZERO, _NINE = map(ord, '"-+.09')
_IS_SPACE: Final = np.array([chr(byte) in " \t\n\r" for byte in range(256)])
_IS_EXPONENT: Final = np.array([chr(byte) in "eE" for byte in range(256)])
_POWERS: Final = np.array([10.0**power for power in range(23)])  # all of them exact
_EXACT: Final = 2**53  # floats represent all whole numbers up to here
_ROOM: Final = 10**17  # a number below it can take another digit
_LONG: Final = 10_000  # as a power of ten: too many digits


def _eight(byte: int) -> int:
    return int.from_bytes(bytes([byte]) * 8, "little", signed=True)


_ONES, _HIGH_BITS, _SPACES, _QUOTES, _ESCAPES = _eight(1), _eight(0x80), _eight(0x20), _eight(_QUOTE), _eight(ord("\\"))


@compiled
def number_at(at: int) -> Number:
    """A JSON number; its power of ten is _LONG if its digits do not fit int64."""
    digits = power = 0
    is_long, is_whole = False, True
    is_negative = byte(at) == _MINUS
    start = at + is_negative
    at = start
    while is_digit(byte(at)) or (byte(at) == _POINT and is_whole):
        if byte(at) == _POINT:
            is_whole = False
            if at == start or not is_digit(byte(at + 1)):
                return WRONG, 0, 0, False, False
        elif digits < _ROOM:
            digits = 10 * digits + (byte(at) - _ZERO)
            power -= not is_whole
        else:
            is_long = True
        at += 1
    if at == start or (byte(start) == _ZERO and is_digit(byte(start + 1))):
        return WRONG, 0, 0, False, False
    if _IS_EXPONENT[byte(at)]:
        is_whole = False
        at, exponent = _exponent(at + 1)
        is_long = is_long or abs(exponent) == _LONG or power <= -_LONG  # two out of range must not sum to one in range
        power += exponent
    is_negative &= digits > 0 or not is_whole  # msgspec reads -0 as a whole number, which has no sign
    return at, digits, _LONG if is_long else power, is_negative, is_whole


@compiled
def _exponent(at: int) -> tuple[int, int]:
    """Return (position after it, its value, at most _LONG)."""
    number = 0
    is_negative = byte(at) == _MINUS
    start = at + (is_negative or byte(at) == _PLUS)
    at = start
    while is_digit(byte(at)):
        number = min(10 * number + (byte(at) - _ZERO), _LONG)
        at += 1
    return at if at > start else WRONG, -number if is_negative else number


@compiled
def nearest_float(digits: int, power: int, is_negative: bool) -> tuple[float, bool]:
    """Return (the nearest float, whether this method cannot find it).

    One operation on two exact floats is correctly rounded (W. D. Clinger, How to Read Floating Point Numbers
    Accurately, 1990).
    """
    if digits > _EXACT or abs(power) >= len(_POWERS):
        return np.nan, True
    number = float(digits) * _POWERS[power] if power >= 0 else float(digits) / _POWERS[-power]
    return -number if is_negative else number, False


@compiled
def text_end(at: int) -> int:
    """The position of the next byte that is not plain text: a quote, escape, control character, or not ASCII."""
    ends = plain_ends(eight_bytes(at))
    while ends == 0:
        at += 8
        ends = plain_ends(eight_bytes(at))
    return at + (lowest_bit(ends) >> 3)


@compiled
def plain_ends(eight: int) -> int:
    """A mask whose lowest set bit is in the first of eight bytes that is not plain text; 0 if all are.

    A byte is below n if subtracting n from it borrows (S. E. Anderson, Bit Twiddling Hacks).
    """
    quotes, escapes = eight ^ _QUOTES, eight ^ _ESCAPES
    below = ((eight - _SPACES) & ~eight) | ((quotes - _ONES) & ~quotes) | ((escapes - _ONES) & ~escapes)
    return (below | eight) & _HIGH_BITS


@compiled
def after_space(at: int) -> int:
    """The position of the next byte that is no space."""
    while _IS_SPACE[byte(at)]:
        at += 1
    return at


@compiled
def is_digit(byte: int) -> bool:
    """Whether it is one of 0 to 9."""
    return byte >= _ZERO and byte <= _NINE
