"""Times in every form in which files hold them, and those that could be read in two ways."""

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.files.times import UNITS, Times, TimeUnit
from contracts.moments import parse_moment

T0 = 1_761_314_521_234_567_000  # 2025-10-24T14:02:01.234567Z
WHOLE = T0 // 1_000_000_000 * 1_000_000_000
MIDNIGHT = 1_761_264_000_000_000_000
moments: st.SearchStrategy[datetime] = st.datetimes(datetime(1973, 4, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


def read(cells: Any, unit: TimeUnit | None = None, zone: str | None = None) -> list[int | str | None]:
    """What each cell is read as: a time, or what is wrong with it."""
    values, wrong = Times("src_ts", unit, zone).read(pl.Series("src_ts", cells))
    return [value if flaw is None else flaw for value, flaw in zip(values, wrong, strict=True)]


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2025-10-24T14:02:01.234567Z", T0),
        (" 2025-10-24T14:02:01.234567Z ", T0),
        ("2025-10-24 14:02:01.234567+00:00", T0),  # pandas
        ("2025-10-24 14:02:01.234567 UTC", T0),  # Polars
        ("2025-10-24T14:02:01.234567+0000", T0),  # Polars in CSV
        ("2025-10-24 16:02:01.234567001+02", T0 + 1),
        ("2025-10-24T14:02:01Z", WHOLE),
        ("2025-10-24 14:02Z", WHOLE - 1_000_000_000),
        ("1761314521", WHOLE),
        ("1761314521.234567", T0),
        ("1761314521.2345670011", T0 + 1),
        ("1761314521234.567", T0),
        ("1761314521234567", T0),
        ("1761314521234567000", T0),
        ("1.761314521e9", WHOLE),
        ("-1e10", -10_000_000_000_000_000_000),
    ],
)
def test_a_text_is_read_in_the_form_in_which_programs_write_it(text: str, time: int) -> None:
    expected = time if abs(time) < 2**63 else "src_ts is not a time within 64-bit nanoseconds"
    assert read([text]) == [expected]
    assert read([None, text]) == [None, expected]


@pytest.mark.parametrize("text", ["yesterday", "2025-10-24T25:00:00Z", "2025-13-01", "24.10.2025", "nan", "-"])
def test_what_is_no_time_is_said_to_be_none(text: str) -> None:
    assert read([text], zone="UTC") == ["src_ts is not a time such as 2025-10-24T14:02:01Z"]


@pytest.mark.parametrize(
    "cells",
    [
        ["2025-10-24T14:02:01"],
        ["2025-10-24 14:02:01.5"],
        ["2025-10-24"],
        [date(2025, 10, 24)],
        [datetime(2025, 10, 24)],
    ],
)
def test_a_time_without_a_zone_is_refused_with_those_words_or_taken_with_a_zone(cells: list[Any]) -> None:
    assert read(cells) == ["src_ts has no time zone: name the zone of the times with --zone, such as --zone UTC"]
    [utc], [tokyo] = read(cells, zone="UTC"), read(cells, zone="Asia/Tokyo")
    assert isinstance(utc, int)
    assert isinstance(tokyo, int)
    assert utc - tokyo == 9 * 3_600_000_000_000


def test_a_zone_is_for_those_that_name_none() -> None:
    cells = ["2025-10-24T14:02:01Z", "2025-10-24 10:02:01", "1761314521"]
    assert read(cells, zone="America/New_York") == [WHOLE, WHOLE, WHOLE]


def test_hours_that_a_zone_has_twice_or_never_are_not_guessed() -> None:
    flaw = "src_ts is a time that is ambiguous or missing in Europe/Berlin, when the clocks were changed"
    assert read(["2025-10-26 02:30:00", "2025-03-30 02:30:00"], zone="Europe/Berlin") == [flaw, flaw]


@given(moments, st.sampled_from(sorted(UNITS)))
def test_the_unit_of_numbers_is_told_by_their_size(moment: datetime, unit: TimeUnit) -> None:
    time = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1_000
    number = time // UNITS[unit]
    assert read([number]) == read([str(number)]) == read([number], unit) == [number * UNITS[unit]]
    exact = str(Decimal(time) / UNITS[unit])
    assert read([exact]) == [time]
    error = max(math.ulp(float(exact)) * UNITS[unit], 1_000)  # of a double, rounded to microseconds
    (found,) = read([float(exact)])
    assert isinstance(found, int)
    assert abs(found - time) <= error


@given(st.lists(moments, min_size=1), st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]))
def test_what_python_writes_is_read_back(times: list[datetime], zone: timezone) -> None:
    expected = [(time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1_000 for time in times]
    assert read([str(time.astimezone(zone)) for time in times]) == expected
    assert read([time.astimezone(zone).isoformat() for time in times]) == expected


def test_a_number_of_another_unit_than_the_first_is_no_guess_at_all() -> None:
    assert read([1761314521, 1761314521234]) == [
        WHOLE,
        "src_ts looks like another unit than seconds: name the unit with --time-unit",
    ]
    assert read([5, 1761314521234], "ms") == [5_000_000, T0 // 1_000_000 * 1_000_000]


def test_small_numbers_are_what_the_unit_says() -> None:
    assert read([1, 2], "ns") == [1, 2]
    assert read(["1", "2.5"], "us") == [1_000, 2_500]


@pytest.mark.parametrize("cells", [[True], [timedelta(1)], [[1]]])
def test_other_types_are_no_times(cells: list[Any]) -> None:
    [flaw] = read(cells)
    assert str(flaw).endswith("not a time")


FORMS = (
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M Z",
    "%Y-%m-%d %H:%M:%S.%f UTC",
    "%Y-%m-%dT%H:%M+0530",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d",
)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2099, 1, 1)), st.sampled_from(FORMS))
def test_a_text_is_the_same_time_in_a_file_and_on_the_command_line(moment: datetime, form: str) -> None:
    text, zone = moment.strftime(form), "America/New_York"
    (found,) = read([text], zone=zone)
    if isinstance(found, int):
        assert parse_moment(text, 0, zone) == found
    else:
        with pytest.raises(ValueError, match="is a time that is ambiguous or missing in America/New_York"):
            parse_moment(text, 0, zone)
