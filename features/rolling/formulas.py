"""The formulas of the rolling features, each over the windows of one symbol, and the loop that applies them to symbols.

A series is an array of windows, oldest first, so that every sum runs from the oldest to the newest. The last is the
closing window. NaN in a series of closes means that there is no bar. A result that is NaN or infinite is undefined.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features.rolling.feature_config import Kind
from features.rolling.ring import Fields, Floats, Ints
from native.jit import compiled

EPSILON: Final = float(np.finfo(np.float64).eps)
_VWAP, _RETURN, _MOMENTUM, _VOLATILITY, _SKEWNESS, _KURTOSIS = range(6)
NUMBERS: Final[dict[Kind, int]] = {  # of the kinds that are functions of a series alone
    "vwap": _VWAP,
    "return": _RETURN,
    "momentum": _MOMENTUM,
    "volatility": _VOLATILITY,
    "skewness": _SKEWNESS,
    "kurtosis": _KURTOSIS,
}


@compiled
def vwap(prices: Floats, volumes: Floats) -> float:
    """Volume-weighted average price: sum of price times volume over sum of volume, from the windows' own vwaps.

    It is clamped to the range of `prices` against rounding.
    """
    turnover, volume, low, high = 0.0, 0.0, np.inf, -np.inf
    for window in range(len(volumes)):
        if volumes[window] > 0.0 and not np.isnan(prices[window]):
            turnover += prices[window] * volumes[window]
            volume += volumes[window]
            low, high = min(low, prices[window]), max(high, prices[window])
    return min(max(turnover / volume, low), high) if volume > 0.0 else np.nan


@compiled
def simple_return(closes: Floats) -> float:
    """Return since the last bar before the horizon; `closes` cover twice the horizon."""
    return float(closes[-1] / _bar_before(closes[: len(closes) // 2], 0) - 1.0)


@compiled
def momentum(closes: Floats) -> float:
    """Rate of change over as many bars as the horizon has windows; `closes` cover twice the horizon.

    Computed as TA-Lib's ROCP: near 1 the quotient of the prices alone would lose digits.
    """
    base = _bar_before(closes, len(closes) // 2)
    return float((closes[-1] - base) / base)


@compiled
def _bar_before(closes: Floats, bars: int) -> float:
    """The close `bars` bars before the last one, NaN if there is none."""
    for close in closes[::-1]:
        if not np.isnan(close):
            if bars == 0:
                return float(close)
            bars -= 1
    return np.nan


class Moments(NamedTuple):
    """The number of log returns, their mean, and the sums of powers of their deviations from it."""

    n: float
    mean: float
    squares: float
    cubes: float
    fourths: float


_NO_MOMENTS: Final = Moments(0.0, 0.0, 0.0, 0.0, 0.0)


@compiled
def moments(log_closes: Floats, returns: Floats) -> Moments:
    """The moments of the log returns between consecutive bars, across gaps too; `returns` is a buffer for them.

    The deviations take a second pass, as sums of powers of the returns themselves would lose digits.
    """
    count, before, total = 0, np.nan, 0.0
    for log_close in log_closes:
        if not np.isnan(log_close):
            if not np.isnan(before):
                returns[count] = log_close - before
                total += returns[count]
                count += 1
            before = log_close
    mean = total / count
    squares = cubes = fourths = 0.0
    for value in returns[:count]:
        deviation = value - mean
        square = deviation * deviation
        squares += square
        cubes += square * deviation
        fourths += square * square
    return Moments(float(count), mean, squares, cubes, fourths)


@compiled
def volatility(m: Moments) -> float:
    """Sample standard deviation (n - 1) of the log returns."""
    return float(np.sqrt(m.squares / (m.n - 1.0))) if m.n >= 2.0 else np.nan


@compiled
def skewness(m: Moments) -> float:
    """Bias-corrected skewness G1 (Joanes and Gill, 1998), as `scipy.stats.skew(bias=False)`."""
    n, second, third = m.n, m.squares / m.n, m.cubes / m.n
    if n < 3.0 or not _varies(second, m.mean):
        return np.nan
    return float(np.sqrt(n * (n - 1.0)) / (n - 2.0) * third / (second * np.sqrt(second)))


@compiled
def kurtosis(m: Moments) -> float:
    """Bias-corrected excess kurtosis G2 (Joanes and Gill, 1998), as `scipy.stats.kurtosis(bias=False)`."""
    n, second, fourth = m.n, m.squares / m.n, m.fourths / m.n
    if n < 4.0 or not _varies(second, m.mean):
        return np.nan
    return ((n * n - 1.0) * fourth / (second * second) - 3.0 * (n - 1.0) * (n - 1.0)) / ((n - 2.0) * (n - 3.0))


@compiled
def _varies(second: float, mean: float) -> bool:
    # SciPy's test: below this spread the higher moments consist of rounding errors
    return bool(second > (EPSILON * mean) ** 2)


class Wanted(NamedTuple):
    """The features to compute, those with the same horizon next to each other; arrays of one length.

    Attributes:
        kinds: see `NUMBERS`.
        horizons: in windows.
    """

    kinds: Ints
    horizons: Ints


@compiled
def compute(wanted: Wanted, fields: Fields, rows: Ints, columns: Ints) -> Floats:
    """Features of bars as of their windows, shape (features, bars), NaN where undefined."""
    kinds, horizons = wanted
    closes, log_closes, prices, volumes = fields
    values, returns = np.empty((len(kinds), len(rows))), np.empty(closes.shape[1])
    for bar, row in enumerate(rows):
        end, shape, shape_horizon = columns[bar] + 1, _NO_MOMENTS, 0
        for feature, kind in enumerate(kinds):
            horizon = horizons[feature]
            if kind == _VWAP:
                value = vwap(prices[row, end - horizon : end], volumes[row, end - horizon : end])
            elif kind == _RETURN:
                value = simple_return(closes[row, end - 2 * horizon : end])
            elif kind == _MOMENTUM:
                value = momentum(closes[row, end - 2 * horizon : end])
            else:
                if horizon != shape_horizon:  # several features share it
                    shape, shape_horizon = moments(log_closes[row, end - horizon : end], returns), horizon
                value = _of_returns(kind, shape)
            values[feature, bar] = value if np.isfinite(value) else np.nan
    return values


@compiled
def _of_returns(kind: int, m: Moments) -> float:
    if kind == _VOLATILITY:
        return volatility(m)
    return skewness(m) if kind == _SKEWNESS else kurtosis(m)
