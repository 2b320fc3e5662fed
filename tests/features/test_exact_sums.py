"""Exact sums against Python's fractions: of numbers and products of any size that the contract allows, in any order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from itertools import starmap

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.values import MAX_PRICE, MAX_VOLUME
from features.bars.exact_sums import (
    SUM,
    UNIT_BITS,
    WORDS,
    Words,
    add_product,
    add_size,
    add_sum,
    nearest,
    nearest_sizes,
)
from tests.oracle_windows import size_as_written

LEAST_SIZE, LEAST_PRODUCT = 1e-18, 1e-20
UNIT = Fraction(1, 2**UNIT_BITS)

PRICES: st.SearchStrategy[float] = st.floats(-MAX_PRICE, MAX_PRICE)
SIZES: st.SearchStrategy[float] = st.floats(0.0, MAX_VOLUME)
# Drawn by their exponent, as floats between two bounds are mostly large.
SMALL: st.SearchStrategy[float] = st.builds(
    lambda digits, power: digits * 10.0**power, st.floats(-10.0, 10.0), st.integers(-40, 10)
)
DECIMAL_TEXTS: st.SearchStrategy[str] = st.builds(
    lambda digits, places: f"{digits}e-{places}", st.integers(0, 10**15 - 1), st.integers(0, 22)
)
DECIMALS: st.SearchStrategy[float] = DECIMAL_TEXTS.map(float)
TRADES: st.SearchStrategy[list[tuple[float, float]]] = st.lists(
    st.tuples(PRICES | SMALL, SIZES | SMALL.map(abs)), max_size=30
)


def product_sum(trades: Sequence[tuple[float, float]]) -> Words:
    total: Words = np.zeros((), SUM)
    for price, size in trades:
        add_product(total, price, size)
    return total


def size_sum(sizes: Sequence[float]) -> Words:
    total: Words = np.zeros((), SUM)
    for size in sizes:
        add_size(total, size)
    return total


def as_float(total: Words) -> float:
    return float(nearest(total[np.newaxis])[0])


def as_size(total: Words) -> float:
    return float(nearest_sizes(total[np.newaxis])[0])


def exact(trades: Sequence[tuple[float, float]]) -> Fraction:
    return sum((Fraction(price) * Fraction(size) for price, size in trades), Fraction())


@given(st.lists(SIZES | SMALL.map(abs) | DECIMALS))
@example([0.1, 0.2])  # 0.3, and not 0.30000000000000004 as with floats
@example([1.0, 2.0**-53])  # in the middle of two floats
@example([1.0, 2.0**-53, 1e-18])
@example([1e18, 5e-18, 5e-18])
def test_a_sum_of_sizes_is_the_nearest_float_to_the_true_one(sizes: list[float]) -> None:
    sizes = [size for size in sizes if size == 0.0 or size >= LEAST_SIZE]
    assert as_size(size_sum(sizes)) == float(sum(map(size_as_written, sizes), Fraction()))


@given(st.lists(DECIMAL_TEXTS))
def test_a_sum_of_decimals_is_the_nearest_float_to_that_of_what_was_written(texts: list[str]) -> None:
    assert as_size(size_sum([float(text) for text in texts])) == float(sum(map(Fraction, texts), Fraction()))


@given(TRADES)
@example([(2.1e-10, 1e-10)])
@example([(1e15, 1e18), (-1e15, 1e18), (1e-10, 1e-10)])  # nothing but the smallest is left
def test_a_sum_of_products_is_the_nearest_float_to_the_true_one(trades: list[tuple[float, float]]) -> None:
    trades = [trade for trade in trades if abs(exact([trade])) >= LEAST_PRODUCT or not all(trade)]
    assert as_float(product_sum(trades)) == float(exact(trades))


@given(TRADES)
@example([(5e-324, 5e-324), (5e-324, 1e18), (1e-30, 1e-30), (-1e-39, 1.0)])
def test_of_what_is_smaller_each_loses_less_than_a_unit(trades: list[tuple[float, float]]) -> None:
    error = Fraction(as_float(product_sum(trades))) - exact(trades)
    assert abs(error) <= len(trades) * UNIT + abs(exact(trades)) * Fraction(1, 2**53)


@given(st.lists(DECIMALS | SIZES), st.integers(0, 30))
def test_the_bits_of_a_sum_of_sizes_depend_neither_on_the_order_nor_on_the_cut(sizes: list[float], place: int) -> None:
    total, rest = map(size_sum, (sizes[place:][::-1], sizes[:place]))
    add_sum(total, rest)
    assert total.tolist() == size_sum(sizes).tolist()


@given(TRADES, st.randoms(), st.integers(0, 30))
def test_its_bits_depend_neither_on_the_order_nor_on_the_cut(
    trades: list[tuple[float, float]], chance: random.Random, place: int
) -> None:
    shuffled = sorted(trades, key=lambda _: chance.random())
    total, rest = starmap(product_sum, [(shuffled[place:],), (shuffled[:place],)])
    add_sum(total, rest)
    assert total.tolist() == product_sum(trades).tolist()


@pytest.mark.parametrize("price", [MAX_PRICE, -MAX_PRICE])
def test_a_billion_events_at_the_limits_fit(price: float) -> None:
    turnover, volume, count = product_sum([(price, MAX_VOLUME)]), size_sum([MAX_VOLUME]), 1
    while count < 10**9:
        add_sum(turnover, turnover.copy())
        add_sum(volume, volume.copy())
        count *= 2
    assert as_float(turnover) == float(count * Fraction(price) * Fraction(MAX_VOLUME))
    assert as_size(volume) == float(count * Fraction(MAX_VOLUME))


@given(st.integers(-(2 ** (64 * WORDS - 1)), 2 ** (64 * WORDS - 1) - 1), st.integers(0, 64 * WORDS - 1))
@example(2**54 + 1, 0)  # in the middle of two floats
@example(2**54 + 3, 0)
@example(2**64 - 1, 0)
@example((2**54 + 1) * 2**64 + 1, 0)  # a little above the middle
@example(-(2 ** (64 * WORDS - 1)), 0)
def test_a_sum_becomes_the_nearest_float(units: int, shift: int) -> None:
    units >>= shift
    total = np.array([units >> 64 * place & 2**64 - 1 for place in range(WORDS)], np.uint64)
    assert as_float(total) == float(units * UNIT)
    if units >= 0:
        assert as_size(total) == float(units * UNIT / 5**22)
