"""ISO 8601 times to nanoseconds, byte by byte, by the grammar of `contracts.timestamps`."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.binary import BinaryColumn
from native.jit import compiled
from native.json_text import is_digit
from native.memory import byte

_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]
_Bytes = npt.NDArray[np.uint8]

_COLON, _MINUS, _PLUS, _POINT, _ZERO, _T, _Z = map(ord, ":-+.0TZ")
_WRONG: Final = -1
_LOCAL: Final = len("YYYY-MM-DDTHH:MM:SS")
_ZONE: Final = len("+HH:MM")
_MAX_SECONDS: Final = 2**63 // 1_000_000_000 - 1
_TENS: Final = np.array([10**power for power in range(10)])


def parse_times(texts: BinaryColumn) -> tuple[_Ints, _Bools]:
    """Nanoseconds since the epoch of each string, and whether it is a time in the grammar of `contracts.timestamps`."""
    times, is_time = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.bool_)
    _parse_times(texts.data, texts.starts, texts.lengths, times, is_time)
    return times, is_time


@compiled
def _parse_times(data: _Bytes, starts: _Ints, lengths: _Ints, times: _Ints, is_time: _Bools) -> None:
    for row in range(len(starts)):
        times[row], is_time[row] = time_at(data.ctypes.data + starts[row], lengths[row])


@compiled
def time_at(at: int, length: int) -> tuple[int, bool]:
    """Return (nanoseconds, whether the string is a time)."""
    end = at + length
    if length <= _LOCAL or not (byte(at + 4) == byte(at + 7) == _MINUS and byte(at + 13) == byte(at + 16) == _COLON):
        return 0, False
    year, month, day = _whole(at, 4), _whole(at + 5, 2), _whole(at + 8, 2)
    hour, minute, second = _whole(at + 11, 2), _whole(at + 14, 2), _whole(at + 17, 2)
    is_date = year >= 1 and 1 <= month <= 12 and day >= 1 and day <= _days_in_month(year, month)
    is_clock = 0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60
    at, fraction = _fraction(at + _LOCAL)
    zone, is_zone = _zone(at, end)
    seconds = _days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - zone
    if not (is_date and is_clock and fraction >= 0 and is_zone and byte(end - length + 10) == _T):
        return 0, False
    return (seconds * 1_000_000_000 + fraction, True) if abs(seconds) <= _MAX_SECONDS else (0, False)


@compiled
def _fraction(at: int) -> tuple[int, int]:
    """Return (position after it, nanoseconds): one to nine digits after a point; 0 without a point."""
    if byte(at) != _POINT:
        return at, 0
    start = at + 1
    at = start
    while is_digit(byte(at)):
        at += 1
    count = at - start
    return at, _whole(start, count) * _TENS[9 - count] if 1 <= count <= 9 else _WRONG


@compiled
def _zone(at: int, end: int) -> tuple[int, bool]:
    """Return (seconds east of UTC, whether the bytes from `at` to `end` are a time zone)."""
    if byte(at) == _Z:
        return 0, at + 1 == end
    if at + _ZONE != end or not (byte(at) == _PLUS or byte(at) == _MINUS) or byte(at + 3) != _COLON:
        return 0, False
    hours, minutes = _whole(at + 1, 2), _whole(at + 4, 2)
    seconds = hours * 3_600 + minutes * 60
    return -seconds if byte(at) == _MINUS else seconds, 0 <= hours < 24 and 0 <= minutes < 60


@compiled
def _days_in_month(year: int, month: int) -> int:
    if month == 2:
        return 29 if (year % 4 == 0 and year % 100 != 0) or year % 400 == 0 else 28
    return 30 if month in (4, 6, 9, 11) else 31


@compiled
def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar (H. Hinnant's days_from_civil)."""
    year -= month <= 2
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * 146_097 + day_of_era - 719_468


@compiled
def _whole(at: int, count: int) -> int:
    """The whole number of `count` digits; _WRONG if a byte is not a digit."""
    number = 0
    for place in range(at, at + count):
        if not is_digit(byte(place)):
            return _WRONG
        number = 10 * number + (byte(place) - _ZERO)
    return number


parse_times(BinaryColumn.of([]))  # loads the compiled code at import, rather than with the first time
