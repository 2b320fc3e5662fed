"""Converts the forms of time in files to nanoseconds since 1970.

Texts: ISO 8601 with a zone; the output of pandas and Polars (a blank in place of the T, `UTC`, `+0000`); dates.
Timestamps of Parquet and Arrow. Numbers since 1970, whole or with a fraction, as numbers or as text, in seconds,
milliseconds, microseconds or nanoseconds. Unless given, the unit of a column is guessed from its first number.
"""

from __future__ import annotations

from typing import Final, Literal

import polars as pl

from codec.timestamps import parse_timestamps
from contracts.moments import TIME

TimeUnit = Literal["s", "ms", "us", "ns"]

UNITS: Final[dict[TimeUnit, int]] = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
NAMES: Final[dict[TimeUnit, str]] = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
# A time from 1973-03-03 to 5138-11-16 has a unique unit: 1e8 s = 1e11 ms and 1e11 s = 1e14 ms.
_BELOW: Final[dict[TimeUnit, float]] = {"s": 1e11, "ms": 1e14, "us": 1e17, "ns": float("inf")}
_DIGITS: Final[dict[TimeUnit, int]] = {"s": 9, "ms": 6, "us": 3, "ns": 0}  # decimals down to nanoseconds
_NUMBER: Final = r"^([+-]?\d+)(?:\.(\d*))?$"

Typed = tuple[pl.Series, pl.Series]  # values, null for missing ones; and the flaw of each cell, or null


class Times:
    """Reads one column of one file, whose numbers all have the same unit.

    Args:
        name: of the column.
        unit: of its numbers; None: guessed from the first one.
        zone: of times without a zone, by its name in the zone database; None: they are refused.
    """

    def __init__(self, name: str, unit: TimeUnit | None, zone: str | None) -> None:
        self._name, self.unit, self._zone, self._is_guessed = name, unit, zone, unit is None

    def read(self, column: pl.Series) -> Typed:
        """Nanoseconds of each cell."""
        if isinstance(column.dtype, pl.Datetime | pl.Date):
            return self._moments(column)
        if column.dtype.is_integer() or column.dtype.is_float() or column.dtype.is_decimal():
            return self._numbers(column)
        if column.dtype in (pl.String, pl.Categorical, pl.Enum):
            return self._texts(column.cast(pl.String).str.strip_chars())
        return nothing(column), flaws(column.is_not_null(), f"{self._name} is a {column.dtype}, not a time")

    def _moments(self, column: pl.Series) -> Typed:
        moments = column.cast(pl.Datetime("ns")) if column.dtype == pl.Date else column.dt.cast_time_unit("ns")
        if not isinstance(moments.dtype, pl.Datetime) or moments.dtype.time_zone is None:
            return self._placed(moments)
        return moments.cast(pl.Int64), flaws(column.is_null() & False, "")

    def _placed(self, naive: pl.Series) -> Typed:
        """Times without a zone."""
        if self._zone is None:
            flaw = f"{self._name} has no time zone: name the zone of the times with --zone, such as --zone UTC"
            return nothing(naive), flaws(naive.is_not_null(), flaw)
        placed = naive.dt.replace_time_zone(self._zone, ambiguous="null", non_existent="null")
        flaw = f"{self._name} is a time that is ambiguous or missing in {self._zone}, when the clocks were changed"
        return placed.cast(pl.Int64), flaws(placed.is_null() & naive.is_not_null(), flaw)

    def _numbers(self, column: pl.Series) -> Typed:
        unit = self._unit_of(column)
        if column.dtype.is_integer() or unit == "ns":
            wide = column.cast(pl.Int128, strict=False) * _wide(UNITS[unit])
        else:  # a double that holds a time of today is good to a quarter of a microsecond
            microseconds = (column.cast(pl.Float64) * (UNITS[unit] // 1_000)).round()
            wide = microseconds.cast(pl.Int128, strict=False) * _wide(1_000)
        return self._within(column, wide)

    def _unit_of(self, numbers: pl.Series) -> TimeUnit:
        """The unit of the numbers; unless given, guessed from the first number of the column."""
        first = numbers.drop_nulls().head(1)
        if self.unit is None and len(first):
            self.unit = next(unit for unit, end in _BELOW.items() if not abs(float(first[0])) >= end)
        return self.unit or "ns"

    def _within(self, numbers: pl.Series, wide: pl.Series) -> Typed:
        times = wide.cast(pl.Int64, strict=False)
        wrong = flaws(times.is_null() & numbers.is_not_null(), f"{self._name} is not a time within 64-bit nanoseconds")
        if not self._is_guessed or self.unit is None:
            return times, wrong
        looks_else = (wide.cast(pl.Float64).abs() / UNITS[self.unit] >= _BELOW[self.unit]).fill_null(value=False)
        above = f"{self._name} looks like another unit than {NAMES[self.unit]}: name the unit with --time-unit"
        return times.set(looks_else, None), wrong.set(looks_else, above)

    def _texts(self, column: pl.Series) -> Typed:
        times = parse_timestamps(column)
        others = times.is_null() & column.is_not_null()
        wrong = flaws(others & False, "")
        if others.any():
            places = others.arg_true()
            found, wrong_there = self._other_texts(column.filter(others))
            times, wrong = times.scatter(places, found), wrong.scatter(places, wrong_there)
        return times, wrong

    def _other_texts(self, column: pl.Series) -> Typed:
        """Texts outside of the contract's grammar: numbers, and times written by other programs."""
        whole, fraction = _groups(column, _NUMBER, 2)
        digits = _DIGITS[self._unit_of(whole.cast(pl.Int128, strict=False))]
        fine = fraction.fill_null("").str.pad_end(digits, "0").str.slice(0, digits)
        exact = (whole + fine).cast(pl.Int128, strict=False)
        floats = _floats(column, whole)
        found = [(whole, self._within(whole, exact)), (floats, self._numbers(floats))]
        times, wrong = self._written(column)
        for numbers, (there, wrong_there) in found:
            is_number = numbers.is_not_null()
            times, wrong = there.zip_with(is_number, times), wrong_there.zip_with(is_number, wrong)
        return times, wrong

    def _written(self, column: pl.Series) -> Typed:
        date, minutes, seconds, fraction, utc, hours_off, minutes_off = _groups(column, TIME, 7)
        clock = minutes.fill_null("00:00") + seconds.fill_null(":00") + "." + fraction.fill_null("0")
        offset = (hours_off + ":" + minutes_off.fill_null("00")).set(utc.is_not_null(), "Z")
        aware = parse_timestamps(date + "T" + clock + offset)
        local = parse_timestamps(date + "T" + clock + "Z").cast(pl.Datetime("ns"))
        is_local = utc.is_null() & hours_off.is_null() & local.is_not_null()
        placed, unplaced = self._placed(local.set(~is_local, None))
        times = placed.zip_with(is_local, aware)
        wrong = flaws(times.is_null(), f"{self._name} is not a time such as 2025-10-24T14:02:01Z")
        return times, unplaced.zip_with(is_local, wrong)


def _floats(column: pl.Series, whole: pl.Series) -> pl.Series:
    """Numbers with an exponent."""
    floats = column.cast(pl.Float64, strict=False)
    return floats.set(whole.is_not_null() | ~floats.is_finite().fill_null(value=False), None)


def _wide(number: int) -> pl.Series:
    return pl.Series([number], dtype=pl.Int128)


def _groups(column: pl.Series, pattern: str, count: int) -> list[pl.Series]:
    return [column.str.extract(pattern, group) for group in range(1, count + 1)]


def nothing(column: pl.Series, dtype: pl.DataType | type[pl.DataType] = pl.Int64) -> pl.Series:
    """A column of nulls."""
    return pl.Series(column.name, [None], dtype).new_from_index(0, len(column))


def flaws(is_wrong: pl.Series, flaw: str) -> pl.Series:
    """`flaw` where `is_wrong`, else null."""
    nothing = pl.Series([None], dtype=pl.String).new_from_index(0, len(is_wrong))
    return nothing.set(is_wrong.fill_null(value=False), flaw)
