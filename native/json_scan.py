"""Plain JSON ticks to columns, byte by byte: 0.3 µs per event, a quarter of the time with an object for each event.

Only a record that is certain to be a tick that satisfies the contract is read: an object without nested objects or
lists, its strings printable ASCII without escapes, every required field present, none repeated. Every other record,
valid or not, is left to the general decoder, so nothing here rejects an event. A scan ends at any unexpected byte, such
as the zero byte after each payload: it needs no other limit.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contracts.binary import BinaryColumn
from contracts.event import NEEDED_BY_TICKS, TIME_BOUND, scanned
from contracts.event_rules import latest
from contracts.record import Records
from contracts.values import MAX_PRICE, MAX_TEXT_BYTES, MAX_VOLUME
from native.jit import compiled
from native.memory import byte, eight_bytes, four_bytes, lowest_bit

_NOTED: Final = ("provider", "symbol", "event_id", "c", "v")

# The result of scanning a record; all fields but the first are valid only where the first is true. Strings are given by
# their address, which is valid as long as the records; an absent event_id has length 0. A number that is `long` still
# has to be parsed from its text and validated.
SCANNED: Final = np.dtype(
    [
        ("is_tick", np.bool_),
        ("has_seq", np.bool_),
        ("c_is_long", np.bool_),
        ("v_is_long", np.bool_),
        ("record", np.int64),
        ("offset", np.int64),
        ("src_ts", np.int64),
        ("c", np.float64),
        ("v", np.float64),
        ("seq", np.int64),
        *[(f"{name}_{what}", np.int64) for name in _NOTED for what in ("at", "len")],
    ]
)

_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]
_Bytes = npt.NDArray[np.uint8]
_Found = tuple[int, int, int, bool, bool]  # end of a number, its digits, power of ten, whether negative, whole

_QUOTE, _COMMA, _COLON, _OPEN, _CLOSE, _MINUS, _PLUS, _POINT, _ZERO, _NINE, _T, _Z = map(ord, '",:{}-+.09TZ')
_IS_SPACE: Final = np.array([chr(byte) in " \t\n\r" for byte in range(256)])
_IS_EXPONENT: Final = np.array([chr(byte) in "eE" for byte in range(256)])
_POWERS: Final = np.array([10.0**power for power in range(23)])  # all of them exact
_EXACT: Final = 2**53  # floats represent all whole numbers up to here
_ROOM: Final = 10**17  # a number below it can take another digit
_LONG: Final = 10_000  # as a power of ten: too many digits
_WRONG: Final = -1
_LOCAL: Final = len("YYYY-MM-DDTHH:MM:SS")
_ZONE: Final = len("+HH:MM")
_MAX_SECONDS: Final = 2**63 // 1_000_000_000 - 1


def _code(text: str) -> int:
    """A string of at most eight bytes as `_key` reads it."""
    return int.from_bytes(text.encode(), "little")


def _eight(byte: int) -> int:
    return int.from_bytes(bytes([byte]) * 8, "little", signed=True)


_TICK, _TRUE, _FALS, _NULL = map(_code, ("tick", "true", "fals", "null"))
_FIELDS: Final = (*scanned("provider", "symbol", "kind", "src_ts", "c", "v", "seq", "event_id"), "ver")  # that are read
_CODES: Final = tuple(map(_code, _FIELDS))
_PROVIDER, _SYMBOL, _KIND, _SRC_TS, _C, _V, _SEQ, _EVENT_ID, _VER = (1 << place for place in range(len(_FIELDS)))
_REQUIRED: Final = sum(1 << place for place, name in enumerate(_FIELDS) if name in NEEDED_BY_TICKS)
_OTHER: Final = 0

_ONES, _HIGH_BITS, _SPACES, _QUOTES, _ESCAPES = _eight(1), _eight(0x80), _eight(0x20), _eight(_QUOTE), _eight(ord("\\"))


def scan(records: Records, max_future_ns: int) -> npt.NDArray[Any]:
    """SCANNED of each record; the event time of a tick may be at most `max_future_ns` after its record's timestamp."""
    found, values = np.zeros(len(records), SCANNED), records.values
    found["record"], found["offset"] = np.arange(len(records)), records.offsets
    _scan(values.data, values.starts, values.lengths, latest(records.times(), max_future_ns), found)
    return found


def parse_times(texts: BinaryColumn) -> tuple[_Ints, _Bools]:
    """Nanoseconds since the epoch of each string, and whether it is a time in the grammar of `contracts.timestamps`."""
    times, is_time = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.bool_)
    _parse_times(texts.data, texts.starts, texts.lengths, times, is_time)
    return times, is_time


@compiled
def _scan(data: _Bytes, starts: _Ints, lengths: _Ints, bound: _Ints, found: npt.NDArray[Any]) -> None:
    for row in range(len(starts)):
        start, tick = data.ctypes.data + starts[row], found[row]
        if _scan_tick(start, start + lengths[row], tick):
            is_priced = tick.c_is_long or abs(tick.c) <= MAX_PRICE
            is_sized = tick.v_is_long or 0 <= tick.v <= MAX_VOLUME
            tick.is_tick = -TIME_BOUND <= tick.src_ts <= bound[row] and is_priced and is_sized


@compiled
def _parse_times(data: _Bytes, starts: _Ints, lengths: _Ints, times: _Ints, is_time: _Bools) -> None:
    for row in range(len(starts)):
        times[row], is_time[row] = _time(data.ctypes.data + starts[row], lengths[row])


@compiled
def _scan_tick(at: int, end: int, found: Any) -> bool:
    """Read the fields of an object into `found`; return whether they are exactly those of a tick."""
    met = 0
    if byte(at) != _OPEN:
        return False
    at = _after_space(at + 1)
    while byte(at) == _QUOTE:
        code, at = _key(at + 1)
        field = _field(code)
        if at == _WRONG or met & field:
            return False
        met |= field
        at = _value(_after_space(at), field, found)
        if at == _WRONG:
            return False
        at = _after_space(at)
        if byte(at) == _CLOSE:
            return met & _REQUIRED == _REQUIRED and _after_space(at + 1) == end
        if byte(at) != _COMMA:
            return False
        at = _after_space(at + 1)
    return False


@compiled
def _value(at: int, field: int, found: Any) -> int:
    """Read a field's value; return the position after it, or _WRONG if it is not plain or not of the field's type."""
    if byte(at) == _QUOTE:
        end = _text_end(at + 1)
        return end + 1 if byte(end) == _QUOTE and _take_text(at + 1, end - at - 1, field, found) else _WRONG
    if byte(at) == _MINUS or _is_digit(byte(at)):
        return _take_number(at, field, found)
    word = four_bytes(at)
    can_be_null = field in (_SEQ, _EVENT_ID, _OTHER)
    if (word == _NULL and can_be_null) or (word == _TRUE and field == _OTHER):
        return at + 4
    return at + 5 if word == _FALS and byte(at + 4) == ord("e") and field == _OTHER else _WRONG


@compiled
def _take_text(at: int, length: int, field: int, found: Any) -> bool:
    if field == _SRC_TS:
        found.src_ts, is_time = _time(at, length)
        return is_time
    if field == _KIND:
        return length == 4 and four_bytes(at) == _TICK
    is_text = 0 < length <= MAX_TEXT_BYTES
    if field == _PROVIDER:
        found.provider_at, found.provider_len = at, length
    elif field == _SYMBOL:
        found.symbol_at, found.symbol_len = at, length
    elif field == _EVENT_ID:
        found.event_id_at, found.event_id_len = at, length
    else:
        return field == _OTHER
    return is_text


@compiled
def _take_number(at: int, field: int, found: Any) -> int:
    end, digits, power, is_negative, is_whole = _number(at)
    if field == _C:
        found.c_at, found.c_len = at, end - at
        found.c, found.c_is_long = _float(digits, power, is_negative)
    elif field == _V:
        found.v_at, found.v_len = at, end - at
        found.v, found.v_is_long = _float(digits, power, is_negative)
    elif field == _SEQ:
        found.seq, found.has_seq = -digits if is_negative else digits, True
        return end if is_whole and power == 0 else _WRONG
    elif field == _VER:
        return end if is_whole and power == 0 and digits == 1 and not is_negative else _WRONG
    elif field != _OTHER:
        return _WRONG
    return end


@compiled
def _number(at: int) -> _Found:
    """A JSON number; its power of ten is _LONG if its digits do not fit int64."""
    digits = power = 0
    is_long, is_whole = False, True
    is_negative = byte(at) == _MINUS
    start = at + is_negative
    at = start
    while _is_digit(byte(at)) or (byte(at) == _POINT and is_whole):
        if byte(at) == _POINT:
            is_whole = False
            if at == start or not _is_digit(byte(at + 1)):
                return _WRONG, 0, 0, False, False
        elif digits < _ROOM:
            digits = 10 * digits + (byte(at) - _ZERO)
            power -= not is_whole
        else:
            is_long = True
        at += 1
    if at == start or (byte(start) == _ZERO and _is_digit(byte(start + 1))):
        return _WRONG, 0, 0, False, False
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
    while _is_digit(byte(at)):
        number = min(10 * number + (byte(at) - _ZERO), _LONG)
        at += 1
    return at if at > start else _WRONG, -number if is_negative else number


@compiled
def _float(digits: int, power: int, is_negative: bool) -> tuple[float, bool]:
    """Return (the nearest float, whether this method cannot find it).

    One operation on two exact floats is correctly rounded (W. D. Clinger, How to Read Floating Point Numbers
    Accurately, 1990).
    """
    if digits > _EXACT or abs(power) >= len(_POWERS):
        return np.nan, True
    number = float(digits) * _POWERS[power] if power >= 0 else float(digits) / _POWERS[-power]
    return -number if is_negative else number, False


@compiled
def _time(at: int, length: int) -> tuple[int, bool]:
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
    while _is_digit(byte(at)):
        at += 1
    count = at - start
    return at, _whole(start, count) * int(_POWERS[9 - count]) if 1 <= count <= 9 else _WRONG


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
        if not _is_digit(byte(place)):
            return _WRONG
        number = 10 * number + (byte(place) - _ZERO)
    return number


@compiled
def _key(at: int) -> tuple[int, int]:
    """Return (the bytes of a key as one number, 0 if over eight; the position after its colon)."""
    first = eight_bytes(at)
    ends = _ends(first)
    if ends == 0:
        end = _text_end(at + 8)
        code = first if end == at + 8 else 0
    else:
        length = lowest_bit(ends) >> 3
        code, end = first & ((1 << (8 * length)) - 1), at + length
    colon = _after_space(end + 1)
    return code, colon + 1 if byte(end) == _QUOTE and byte(colon) == _COLON else _WRONG


@compiled
def _field(code: int) -> int:
    """The bit of the field whose name has this code; _OTHER for a field that is not read."""
    for place, known in enumerate(_CODES):
        if code == known:
            return 1 << place
    return _OTHER


@compiled
def _text_end(at: int) -> int:
    """The position of the next byte that is not plain text: a quote, escape, control character, or not ASCII."""
    ends = _ends(eight_bytes(at))
    while ends == 0:
        at += 8
        ends = _ends(eight_bytes(at))
    return at + (lowest_bit(ends) >> 3)


@compiled
def _ends(eight: int) -> int:
    """A mask whose lowest set bit is in the first of eight bytes that is not plain text; 0 if all are.

    A byte is below n if subtracting n from it borrows (S. E. Anderson, Bit Twiddling Hacks).
    """
    quotes, escapes = eight ^ _QUOTES, eight ^ _ESCAPES
    below = ((eight - _SPACES) & ~eight) | ((quotes - _ONES) & ~quotes) | ((escapes - _ONES) & ~escapes)
    return (below | eight) & _HIGH_BITS


@compiled
def _after_space(at: int) -> int:
    while _IS_SPACE[byte(at)]:
        at += 1
    return at


@compiled
def _is_digit(byte: int) -> bool:
    return byte >= _ZERO and byte <= _NINE


scan(Records.of([]), 0)  # loads the compiled code at import, rather than with the first event
parse_times(BinaryColumn.of([]))
