"""Values of a venue to those of a canonical type, one at a time.

Each function raises ValueError, with what is wrong with the value, in words that follow the name of the field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from contracts.timestamps import format_timestamp
from contracts.values import INT64

Convert = Callable[[Any], Any]

_IN_NANOSECONDS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
MOST_NS: Final = (2**63 // 1_000_000_000 - 1) * 1_000_000_000  # as contracts.timestamps has it
_SHOWN: Final = 60


def nanoseconds(unit: str) -> Convert:
    """Times since the epoch in this unit, numbers or texts of them, to nanoseconds; what is below these is cut off."""
    factor = _IN_NANOSECONDS[unit]

    def convert(value: Any) -> int | None:
        if value is None:
            return None
        found = value * factor if type(value) is int else int(_decimal(value) * factor)
        if not -MOST_NS <= found <= MOST_NS:
            raise ValueError(f"is out of range: {_shown(value)}")
        return found

    return convert


def time_text(unit: str) -> Convert:
    """The same, as ISO 8601."""
    to_ns = nanoseconds(unit)

    def convert(value: Any) -> str | None:
        time = to_ns(value)
        return None if time is None else format_timestamp(time)

    return convert


def scaled(scale: float) -> Convert:
    """A number times the scale, rounded once: 29 by 0.01 is 0.29."""
    numerator, denominator = Decimal(repr(scale)).as_integer_ratio()

    def convert(value: Any) -> float | None:
        if value is None:
            return None
        number = value if type(value) in (int, float) else _number(value)
        try:
            return number * numerator / denominator
        except OverflowError:
            raise ValueError(f"is out of range: {_shown(value)}") from None

    return convert


def translated(words: Mapping[Any, Any]) -> Convert:
    """What stands for a word of the venue."""
    known = {(type(word), word): meaning for word, meaning in words.items()}  # in Python, True == 1

    def convert(value: Any) -> Any:
        if value is None:
            return None
        try:
            return known[type(value), value]
        except (KeyError, TypeError):
            raise ValueError(f"is none of {', '.join(map(str, words))}: {_shown(value)}") from None

    return convert


def text(value: Any) -> Any:
    """Whole numbers as texts: many venues have them as ids."""
    return str(value) if type(value) is int else value


def whole(value: Any) -> int | None:
    """A whole number of 64 bits, or the text of one."""
    if value is None or (type(value) is int and INT64[0] <= value <= INT64[1]):
        return value
    try:
        found = int(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None or not INT64[0] <= found <= INT64[1]:
        raise ValueError(f"is no whole number of 64 bits: {_shown(value)}")
    return found


def converted(column: list[Any], convert: Convert, label: str, errors: dict[int, str]) -> list[Any]:
    """The values of a column; None in place of one that is wrong, and `errors` gets what is wrong with it."""
    if _are_right(column, convert):
        return column
    try:
        return list(map(convert, column))
    except ValueError:
        pass
    found: list[Any] = []
    for at, value in enumerate(column):
        try:
            found.append(convert(value))
        except ValueError as error:
            found.append(None)
            errors.setdefault(at, f"{label} {error}")
    return found


def _are_right(column: list[Any], convert: Convert) -> bool:
    """Whether all values are what they are to become, as in most columns; takes a tenth of converting them."""
    if convert is text:
        return int not in set(map(type, column))
    is_whole = convert is whole and bool(column) and set(map(type, column)) == {int}
    return is_whole and INT64[0] <= min(column) and max(column) <= INT64[1]


def _decimal(value: Any) -> Decimal:
    """The decimal number as it was written: a float reads back as what it was read from."""
    if isinstance(value, bool) or not isinstance(value, float | str):
        raise ValueError(f"is no number: {_shown(value)}")
    try:
        found = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise ValueError(f"is no number: {_shown(value)}") from None
    if not found.is_finite() or found.adjusted() > 30:  # before it becomes as many digits
        raise ValueError(f"is out of range: {_shown(value)}")
    return found


def _number(value: Any) -> int | float:
    number = _decimal(value)
    return int(number) if number == int(number) and number.adjusted() < 16 else float(number)


def _shown(value: Any) -> str:
    return repr(value)[:_SHOWN]
