"""Exact sums of sizes and of products, which depend neither on the order nor on the cut of batches.

A sum is a whole number of units, in two's complement of 320 bits. For products the unit is 2^-176. The product of two
floats, with all its 106 bits, is a whole number of units if it is 0 or at least 2^-70 (8e-22) in magnitude; the bits of
smaller products below the unit are cut off before the addition. The range is 2^143 (1.1e43): 1e10 products of the
largest price and the largest volume of the contract.

For sizes the unit is 2^-176 * 5^-22, so that decimals of up to 22 places are whole numbers of units, too. A float keeps
15 digits, so a size that is the nearest float to a decimal of up to 15 digits counts as that decimal, as it was
written; any other counts as its float. The range is 4e9 of the largest sizes.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from native.jit import compiled
from native.memory import highest_bit, wide_product

Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]

WORDS: Final = 5
SUM: Final = np.dtype((np.uint64, WORDS))  # the lowest bits first
UNIT_BITS: Final = 176

_WORD_BITS: Final = 64
_SPARE_WORDS: Final = 2  # so that a quotient, which has 52 bits less, has at least 53
# The layout of a float.
_MANTISSA_BITS: Final = 52
_MANTISSA: Final = 2**_MANTISSA_BITS - 1
_EXPONENT: Final = 2**11 - 1
_EXPONENT_BIAS: Final = 1_023 + _MANTISSA_BITS  # of the mantissa as a whole number
_ZERO, _ONE, _32, _63, _HALF = map(np.uint64, (0, 1, 32, 63, 2**32 - 1))

_MAX_PLACES: Final = 22  # of decimals; floats represent the powers of ten up to here
_TENS: Final = np.array([10.0**power for power in range(_MAX_PLACES + 1)])
_FIVES: Final = np.array([5**power for power in range(_MAX_PLACES + 1)], np.uint64)
_ROOT: Final = np.uint64(5 ** (_MAX_PLACES // 2))  # dividing by it twice divides by 5^22
_TEN_TO_15: Final = 1e15
# By a float's exponent, the decimal places that keep it below 2^52: no two such decimals have the same float.
_ROOM_BITS: Final = np.arange(_EXPONENT_BIAS - 1, _EXPONENT_BIAS - 2 - _EXPONENT, -1)
_PLACES: Final = np.clip(_ROOM_BITS * math.log10(2), 0, _MAX_PLACES).astype(np.int64)


@compiled
def add_size(total: Words, size: float) -> None:
    """Adds a finite, non-negative number to a sum of sizes."""
    whole, exponent = _parts(size)
    fives, places = _FIVES[_MAX_PLACES], _PLACES[exponent + _EXPONENT_BIAS]
    digits = np.rint(size * _TENS[places])
    if digits / _TENS[places] == size and (digits < _TEN_TO_15 or int(digits) % 10 == 0):
        whole, exponent, fives = np.uint64(digits), -places, _FIVES[_MAX_PLACES - places]
    high, low = wide_product(whole, fives)
    _add_bits(total, high, low, exponent, False)


@compiled
def add_product(total: Words, one: float, other: float) -> None:
    """Adds the product of two finite numbers to a sum."""
    mantissa, exponent = _parts(one)
    other_mantissa, other_exponent = _parts(other)
    high, low = wide_product(mantissa, other_mantissa)
    _add_bits(total, high, low, exponent + other_exponent, (one < 0.0) != (other < 0.0))


@compiled
def add_sum(total: Words, other: Words) -> None:
    """Adds another sum to a sum."""
    carry = _ZERO
    for place in range(WORDS):
        total[place], carry = _added(total[place], other[place], carry)


@compiled
def nearest(totals: Words) -> Floats:
    """The floats nearest to sums of products, of shape (sums, WORDS), ties to even."""
    floats, number = np.empty(len(totals)), np.zeros(_SPARE_WORDS + WORDS, np.uint64)
    for row in range(len(totals)):
        is_negative = totals[row, WORDS - 1] >> _63 != _ZERO
        _take(totals[row], is_negative, number)
        floats[row] = -_float(number) if is_negative else _float(number)
    return floats


@compiled
def nearest_sizes(totals: Words) -> Floats:
    """The floats nearest to sums of sizes, of shape (sums, WORDS), ties to even."""
    floats, number = np.empty(len(totals)), np.zeros(_SPARE_WORDS + WORDS, np.uint64)
    for row in range(len(totals)):
        _take(totals[row], False, number)
        rest = _divide(number) | _divide(number)
        number[0] |= np.uint64(rest != _ZERO)  # a sticky bit, below all significant ones
        floats[row] = _float(number)
    return floats


@compiled
def _parts(number: float) -> tuple[np.uint64, int]:
    """Returns (mantissa, exponent): the absolute value is mantissa * 2^exponent."""
    bits = int(np.float64(number).view(np.int64))
    exponent = (bits >> _MANTISSA_BITS) & _EXPONENT
    is_normal = exponent > 0
    return np.uint64((bits & _MANTISSA) | (is_normal << _MANTISSA_BITS)), exponent + 1 - is_normal - _EXPONENT_BIAS


@compiled
def _add_bits(total: Words, high: np.uint64, low: np.uint64, exponent: int, is_negative: bool) -> None:
    """Adds the whole number `high`, `low` times 2^exponent, or subtracts it."""
    first = exponent + UNIT_BITS  # the position of its lowest bit
    while first < 0:  # bits below the unit are cut off
        cut = np.uint64(min(-first, 63))
        high, low = high >> cut, (low >> cut) | ((high << _ONE) << (_63 - cut))
        first = min(first + 63, 0)
    # It covers three words of the sum.
    place, shift = min(first >> 6, WORDS - 3), np.uint64(first & 63)
    back = _63 - shift  # plus one more bit, as a shift by 64 bits is undefined
    middle, top = (high << shift) | ((low >> _ONE) >> back), (high >> _ONE) >> back
    sign, start = _ZERO - np.uint64(is_negative), np.uint64(is_negative)  # subtraction adds the complement and 1
    total[place], carry = _added(total[place], (low << shift) ^ sign, start)
    total[place + 1], carry = _added(total[place + 1], middle ^ sign, carry)
    total[place + 2], carry = _added(total[place + 2], top ^ sign, carry)
    place += 3
    while place < WORDS and carry != start:  # otherwise the remaining words do not change
        total[place], carry = _added(total[place], sign, carry)
        place += 1


@compiled
def _added(one: np.uint64, other: np.uint64, carry: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Returns (the sum of two words and a carry, its carry)."""
    partial = one + other
    total = partial + carry
    return total, np.uint64(partial < one) | np.uint64(total < partial)


# Below, a number is unsigned, with `_SPARE_WORDS` further words below the unit.


@compiled
def _take(total: Words, is_negative: bool, number: Words) -> None:
    number[:_SPARE_WORDS] = _ZERO
    sign, carry = _ZERO - np.uint64(is_negative), np.uint64(is_negative)
    for place in range(WORDS):
        number[_SPARE_WORDS + place], carry = _added(total[place] ^ sign, _ZERO, carry)


@compiled
def _divide(number: Words) -> np.uint64:
    """Divides a number by _ROOT; returns the remainder."""
    rest = _ZERO
    for back in range(1, len(number) + 1):
        word = number[-back]
        upper = (rest << _32) | (word >> _32)
        lower = ((upper % _ROOT) << _32) | (word & _HALF)
        number[-back] = ((upper // _ROOT) << _32) | (lower // _ROOT)
        rest = lower % _ROOT
    return rest


@compiled
def _float(number: Words) -> float:
    """The nearest float."""
    top = len(number) - 1
    while top > 1 and number[top] == _ZERO:
        top -= 1
    if number[top] == _ZERO:
        return 0.0
    shift = _63 - np.uint64(highest_bit(number[top]))
    head, rest = (number[top] << shift) | ((number[top - 1] >> _ONE) >> (_63 - shift)), number[top - 1] << shift
    for place in range(top - 1):
        rest |= number[place]
    # The lowest of the 64 bits is sticky, for all bits below: it is far enough from where rounding cuts.
    head |= np.uint64(rest != _ZERO)
    return math.ldexp(float(head), _WORD_BITS * (top - _SPARE_WORDS) - int(shift) - UNIT_BITS)
