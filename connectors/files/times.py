"""Converts the forms of time in files to nanoseconds since 1970.

Texts: ISO 8601 with a zone; the output of pandas and Polars (a blank in place of the T, `UTC`, `+0000`); dates.
Timestamps of Parquet and Arrow. Numbers since 1970, whole or with a fraction, as numbers or as text, in seconds,
milliseconds, microseconds or nanoseconds. Unless given, the unit of a column is guessed from its first number. And what
a map says of its own: texts in a form of `strptime`, and numbers since the midnight of a day that the file's name has.
"""

from __future__ import annotations

from datetime import UTC, datetime
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
        self.name, self.unit, self._zone, self.is_guessed = name, unit, zone, unit is None

    def read(self, column: pl.Series) -> Typed:
        """Nanoseconds of each cell."""
        if isinstance(column.dtype, pl.Datetime | pl.Date):
            return self.moments(column)
        if column.dtype.is_integer() or column.dtype.is_float() or column.dtype.is_decimal():
            return self._numbers(column)
        if column.dtype in (pl.String, pl.Categorical, pl.Enum):
            return self._texts(column.cast(pl.String).str.strip_chars())
        return nothing(column), flaws(column.is_not_null(), f"{self.name} is a {column.dtype}, not a time")

    def moments(self, column: pl.Series) -> Typed:
        """Times that the file has as such."""
        moments = column.cast(pl.Datetime("ns")) if column.dtype == pl.Date else column.dt.cast_time_unit("ns")
        if not isinstance(moments.dtype, pl.Datetime) or moments.dtype.time_zone is None:
            return self.placed(moments)
        return moments.cast(pl.Int64), no_flaws(column)

    def placed(self, naive: pl.Series) -> Typed:
        """Times without a zone."""
        if self._zone is None:
            flaw = f"{self.name} has no time zone: name the zone of the times with --zone, such as --zone UTC"
            return nothing(naive), flaws(naive.is_not_null(), flaw)
        placed = naive.dt.replace_time_zone(self._zone, ambiguous="null", non_existent="null")
        flaw = f"{self.name} is a time that is ambiguous or missing in {self._zone}, when the clocks were changed"
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
        wrong = flaws(times.is_null() & numbers.is_not_null(), f"{self.name} is not a time within 64-bit nanoseconds")
        if not self.is_guessed or self.unit is None:
            return times, wrong
        looks_else = (wide.cast(pl.Float64).abs() / UNITS[self.unit] >= _BELOW[self.unit]).fill_null(value=False)
        above = f"{self.name} looks like another unit than {NAMES[self.unit]}: name the unit with --time-unit"
        return times.set(looks_else, None), wrong.set(looks_else, above)

    def _texts(self, column: pl.Series) -> Typed:
        """Texts: first those forms that files mostly have, as each takes a fraction of the general one."""
        numbers = column.cast(pl.Int64, strict=False)
        if numbers.null_count() == column.null_count():
            return self._numbers(numbers)
        times = parse_timestamps(column)
        others = times.is_null() & column.is_not_null()
        wrong = no_flaws(others)
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
        is_number = whole.is_not_null() | floats.is_not_null()
        times, wrong = nothing(column), no_flaws(is_number)
        if not is_number.all():
            places = (~is_number).arg_true()
            found, wrong_there = self._written(column.filter(~is_number))
            times, wrong = times.scatter(places, found), wrong.scatter(places, wrong_there)
        for numbers, (there, wrong_there) in [(whole, self._within(whole, exact)), (floats, self._numbers(floats))]:
            is_here = numbers.is_not_null()
            times, wrong = there.zip_with(is_here, times), wrong_there.zip_with(is_here, wrong)
        return times, wrong

    def _written(self, column: pl.Series) -> Typed:
        """Times, mostly with a blank in place of the T, and without a zone."""
        spaced = column.str.slice(0, 10) + "T" + column.str.slice(11)
        is_spaced = column.str.slice(10, 1).is_in([" ", "T"])
        aware, local = (
            parse_timestamps(spaced.set(~is_spaced, None)),
            parse_timestamps((spaced + "Z").set(~is_spaced, None)),
        )
        placed, unplaced = self.placed(local.cast(pl.Datetime("ns")))
        times = aware.zip_with(aware.is_not_null(), placed)
        others = (aware.is_null() & local.is_null()).arg_true()
        if len(others):
            found, wrong_there = self._of_groups(column.gather(others))
            times, unplaced = times.scatter(others, found), unplaced.scatter(others, wrong_there)
        return times, unplaced

    def _of_groups(self, column: pl.Series) -> Typed:
        """Times in any form that `contracts.moments` knows."""
        date, minutes, seconds, fraction, utc, hours_off, minutes_off = _groups(column, TIME, 7)
        clock = minutes.fill_null("00:00") + seconds.fill_null(":00") + "." + fraction.fill_null("0")
        offset = (hours_off + ":" + minutes_off.fill_null("00")).set(utc.is_not_null(), "Z")
        aware = parse_timestamps(date + "T" + clock + offset)
        local = parse_timestamps(date + "T" + clock + "Z").cast(pl.Datetime("ns"))
        is_local = utc.is_null() & hours_off.is_null() & local.is_not_null()
        placed, unplaced = self.placed(local.set(~is_local, None))
        times = placed.zip_with(is_local, aware)
        wrong = flaws(times.is_null(), f"{self.name} is not a time such as 2025-10-24T14:02:01Z")
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
    if not is_wrong.any():
        return no_flaws(is_wrong)
    return no_flaws(is_wrong).set(is_wrong.fill_null(value=False), flaw)


def no_flaws(column: pl.Series) -> pl.Series:
    """Null for each cell."""
    return pl.Series([None], dtype=pl.String).new_from_index(0, len(column))


class WrittenTimes(Times):
    """Reads texts in a form of `strptime`.

    Args:
        name: of the field.
        form: such as %d.%m.%Y %H:%M:%S; %.f is a fraction, and %z an offset.
        zone: of times without an offset.
    """

    def __init__(self, name: str, form: str, zone: str | None) -> None:
        super().__init__(name, None, zone)
        self._form = form

    def read(self, column: pl.Series) -> Typed:
        """Nanoseconds of each cell."""
        texts = column.cast(pl.String).str.strip_chars()
        found = texts.str.to_datetime(self._form, time_unit="ns", strict=False)
        times, wrong = self.moments(found)
        return times, wrong.set(found.is_null() & texts.is_not_null(), f"{self.name} is not a time as {self._form}")


class DayTimes(Times):
    """Reads numbers since midnight.

    Args:
        name: of the field.
        unit: of the numbers.
        zone: of the midnight.
        day: as YYYYMMDD.
    """

    def __init__(self, name: str, unit: TimeUnit, zone: str | None, day: str) -> None:
        super().__init__(name, unit, zone)
        self._midnight = int(datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).timestamp()) * 1_000_000_000

    def read(self, column: pl.Series) -> Typed:
        """Nanoseconds of each cell."""
        since, wrong = super().read(column)
        times, unplaced = self.placed((since + self._midnight).cast(pl.Datetime("ns")))
        return times, wrong.zip_with(wrong.is_not_null(), unplaced)
