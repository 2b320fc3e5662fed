"""Keys that came lately, against a set of all of them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from native.recent_keys import Keys, RecentKeys


def keys_of(numbers: list[int]) -> Keys:
    return np.array([[number % 7 + 1, number] for number in numbers], np.uint64).reshape(-1, 2)


@given(st.lists(st.lists(st.integers(0, 60), max_size=30), max_size=20))
def test_a_key_is_new_once_while_all_are_remembered(parts: list[list[int]]) -> None:
    recent, seen = RecentKeys(1_000), set[int]()
    for part in parts:
        expected = []
        for number in part:
            expected.append(number not in seen)
            seen.add(number)
        assert recent.add(keys_of(part)).tolist() == expected


@given(st.lists(st.integers(0, 300), min_size=1, max_size=400), st.integers(1, 20))
def test_the_last_keys_are_known_and_old_ones_are_forgotten(numbers: list[int], least: int) -> None:
    recent = RecentKeys(least)
    for at, number in enumerate(numbers):
        (is_new,) = recent.add(keys_of([number]))
        if number in numbers[max(at - least, 0) : at]:
            assert not is_new
        if number not in numbers[max(at - 2 * least, 0) : at]:
            assert is_new


def test_more_keys_at_once_than_it_remembers_are_told_apart() -> None:
    recent, many = RecentKeys(4), list(range(1_000))
    assert recent.add(keys_of(many + many)).tolist() == [True] * 1_000 + [False] * 1_000
    assert not recent.add(keys_of(many)).any()
