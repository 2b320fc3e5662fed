"""Times, scales and words of venues."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalize import values


@pytest.mark.parametrize(
    ("unit", "value", "time"),
    [
        ("s", 1_762_795_380, 1_762_795_380_000_000_000),
        ("s", 1762795380.1234567, 1_762_795_380_123_456_700),
        ("s", "1762795380.123456789", 1_762_795_380_123_456_789),
        ("ms", 1_762_795_380_123, 1_762_795_380_123_000_000),
        ("ms", "1762795380123", 1_762_795_380_123_000_000),
        ("us", 1_762_795_380_123_456.5, 1_762_795_380_123_456_500),
        ("ns", -1, -1),
        ("ns", 0.9, 0),
        ("ms", None, None),
    ],
)
def test_times_are_exact_to_the_nanosecond(unit: str, value: Any, time: int | None) -> None:
    assert values.nanoseconds(unit)(value) == time


def test_a_time_of_a_payload_is_iso_8601() -> None:
    assert values.time_text("ms")(1_762_795_380_123) == "2025-11-10T17:23:00.123000Z"


@pytest.mark.parametrize("value", [True, "", "soon", "nan", "1e999999999", float("inf"), 10**40, "1e20", [1], {"s": 1}])
def test_what_is_no_time_is_told(value: Any) -> None:
    with pytest.raises(ValueError, match=r"is no number: |is out of range: "):
        values.nanoseconds("s")(value)


@given(st.integers(-(10**15), 10**15), st.integers(0, 9))
def test_a_number_in_small_units_is_rounded_once(number: int, decimals: int) -> None:
    exact = float(Fraction(number, 10**decimals))
    convert = values.scaled(float(f"1e-{decimals}"))
    assert convert(number) == convert(str(number)) == exact


@pytest.mark.parametrize(("value", "found"), [(2.5, 5.0), ("2.5", 5.0), (3, 6.0), (None, None)])
def test_a_scale_multiplies_numbers_and_texts_of_them(value: Any, found: float | None) -> None:
    assert values.scaled(2.0)(value) == found


@pytest.mark.parametrize("value", [True, "", "1,5", "inf", [], 10**400])
def test_what_is_no_number_is_told(value: Any) -> None:
    with pytest.raises(ValueError, match=r"is no number: |is out of range: "):
        values.scaled(0.01)(value)


def test_words_are_told_apart_by_their_type_too() -> None:
    convert = values.translated({"b": "buy", True: "sell"})
    assert [convert(word) for word in ("b", True, None)] == ["buy", "sell", None]
    for word in ("B", False, 1, ["b"]):
        with pytest.raises(ValueError, match="is none of b, True: "):
            convert(word)


@pytest.mark.parametrize(("value", "found"), [(7, 7), ("7", 7), (-(2**63), -(2**63)), (None, None)])
def test_a_sequence_is_a_whole_number_or_the_text_of_one(value: Any, found: int | None) -> None:
    assert values.whole(value) == found


@pytest.mark.parametrize("value", [2**63, str(2**63), 1.0, True, "", "a", "9" * 5_000, []])
def test_what_is_no_sequence_is_told(value: Any) -> None:
    with pytest.raises(ValueError, match="is no whole number of 64 bits"):
        values.whole(value)
