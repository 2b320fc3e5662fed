"""The formulas of the rolling features, vectorised over symbols.

Arrays of shape (windows, symbols) are in time order and have at least two columns (see `features.ring`), so that every
sum runs from the oldest window to the newest. NaN, or anything else not finite, means that a value is undefined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from features.ring import Bools, Floats, Ints

EPSILON: Final = float(np.finfo(np.float64).eps)


def vwap(turnover: Floats, volume: Floats) -> Floats:
    """Volume-weighted average price: sum of price times volume over sum of volume; both (windows, symbols)."""
    total = volume.sum(axis=0)
    return np.where(total > 0.0, turnover.sum(axis=0) / total, np.nan)


def simple_return(close: Floats, base: Floats) -> Floats:
    """Compare two prices; both (symbols,), undefined for a base of 0."""
    return close / base - 1.0


def rate_of_change(close: Floats, base: Floats) -> Floats:
    """Compare two prices in the way of TA-Lib's ROCP: near 1 the quotient alone would lose digits."""
    return (close - base) / base


@dataclass(frozen=True, slots=True)
class Deviations:
    """Log returns less their mean: `values` and their `squares` (windows, symbols), 0 where none; others (symbols,)."""

    values: Floats
    squares: Floats
    sum_of_squares: Floats
    count: Ints
    mean: Floats

    @property
    def second(self) -> Floats:
        """Mean of the squares."""
        return self.sum_of_squares / self.count

    def moment(self, power: Floats) -> Floats:
        """Mean over the returns of some power of `values`."""
        total: Floats = power.sum(axis=0)
        return total / self.count


def deviations(returns: Floats, inside: Bools, count: Ints) -> Deviations:
    """Deviations of those `returns` that are `inside`, both (windows, symbols); `count` of them per symbol."""
    mean = np.where(inside, returns, 0.0).sum(axis=0) / count
    return _deviations(np.where(inside, returns - mean, 0.0), count, mean)


def deviations_of_all(returns: Floats, count: Ints) -> Deviations:
    """Answer as `deviations` does for returns that are all inside, without four passes over them."""
    mean = returns.sum(axis=0) / count
    return _deviations(returns - mean, count, mean)


def _deviations(values: Floats, count: Ints, mean: Floats) -> Deviations:
    squares = values * values
    return Deviations(values, squares, squares.sum(axis=0), count, mean)


def volatility(d: Deviations) -> Floats:
    """Sample standard deviation (n - 1) of the log returns."""
    variance = d.sum_of_squares / (d.count - 1)
    return np.where(d.count >= 2, np.sqrt(variance), np.nan)


def skewness(d: Deviations) -> Floats:
    """Bias-corrected skewness G1 (Joanes and Gill, 1998), as `scipy.stats.skew(bias=False)`."""
    n, second, third = d.count, d.second, d.moment(d.squares * d.values)
    value = np.sqrt(n * (n - 1.0)) / (n - 2.0) * third / (second * np.sqrt(second))
    return np.where((n >= 3) & _varies(second, d.mean), value, np.nan)


def kurtosis(d: Deviations) -> Floats:
    """Bias-corrected excess kurtosis G2 (Joanes and Gill, 1998), as `scipy.stats.kurtosis(bias=False)`."""
    n, second, fourth = d.count, d.second, d.moment(d.squares * d.squares)
    value = ((n * n - 1.0) * fourth / (second * second) - 3.0 * (n - 1.0) * (n - 1.0)) / ((n - 2.0) * (n - 3.0))
    return np.where((n >= 4) & _varies(second, d.mean), value, np.nan)


def _varies(second: Floats, mean: Floats) -> Bools:
    # SciPy's test: below this spread the higher moments are made of rounding errors
    return second > (EPSILON * mean) ** 2
