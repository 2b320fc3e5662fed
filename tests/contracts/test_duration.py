from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.duration import format_duration, parse_duration

MS = 1_000_000


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1ms", MS),
        ("500ms", 500 * MS),
        ("2s", 2_000 * MS),
        ("1m", 60_000 * MS),
        ("90s", 90_000 * MS),
        ("1h", 3_600_000 * MS),
        ("1d", 86_400_000 * MS),
        ("999999999d", 999_999_999 * 86_400_000 * MS),
    ],
)
def test_units(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    "text",
    [
        *("", "s", "1", "0s", "01s", "-1s", "+1s", "1.5s", "1e3s", "1000000000s"),
        *("1 s", " 1s", "1s ", "1s\n", "1S", "1us", "1w", "1sm", "1s1s", "\u0661s"),
    ],
)
def test_what_is_no_duration_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as 500ms"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(MS, "1ms"), (1_500 * MS, "1500ms"), (60_000 * MS, "1m"), (90_000 * MS, "90s"), (7 * 86_400_000 * MS, "7d")],
)
def test_the_largest_unit_that_fits_is_written(nanoseconds: int, text: str) -> None:
    assert format_duration(nanoseconds) == text


@given(st.integers(1, 86_400_000))
def test_what_is_written_reads_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds * MS)) == milliseconds * MS


@pytest.mark.parametrize("nanoseconds", [0, 1, MS - 1, MS + 1, -MS])
def test_lengths_without_a_text_are_refused(nanoseconds: int) -> None:
    with pytest.raises(ValueError, match="not a whole number of milliseconds"):
        format_duration(nanoseconds)
