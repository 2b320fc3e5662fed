"""Rolling features of one symbol in plain Python, from all of its bars anew: slow, and meant to be read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from features.rolling.feature_config import FeatureConfig


class Bar(NamedTuple):
    window_end: int
    close: float
    volume: float = 0.0
    vwap: float | None = None


def features_at(
    bars: Iterable[Bar], features: Sequence[FeatureConfig], window_ns: int, at: int
) -> dict[str, float | None]:
    """The features at the close of the window that ends `at`, from the bars known by then, in any order."""
    past = sorted(bar for bar in bars if bar.window_end <= at)
    longest = max(feature.span(window_ns) for feature in features) * window_ns
    values = {}
    for feature in features:
        horizon = feature.bars(window_ns) * window_ns
        value = FORMULAS[feature.kind](past, at, horizon, horizon // window_ns, longest)
        values[feature.name] = value if value is not None and math.isfinite(value) else None
    return values


def vwap(past: list[Bar], at: int, horizon: int, period: int, longest: int) -> float | None:
    traded = [bar for bar in inside(past, at - horizon, at) if bar.volume > 0]
    prices = [bar.vwap for bar in traded if bar.vwap is not None]
    if not prices:
        return None
    turnover = total(price * bar.volume for price, bar in zip(prices, traded, strict=True))
    return min(max(turnover / total(bar.volume for bar in traded), min(prices)), max(prices))


def simple_return(past: list[Bar], at: int, horizon: int, period: int, longest: int) -> float | None:
    bases = inside(past, at - 2 * horizon, at - horizon)
    return past[-1].close / bases[-1].close - 1 if bases and bases[-1].close != 0 else None


def momentum(past: list[Bar], at: int, horizon: int, period: int, longest: int) -> float | None:
    reach = inside(past, at - 2 * horizon, at)
    base = reach[-1 - period].close if len(reach) > period else 0.0
    return (past[-1].close - base) / base if base != 0 else None


def rsi(past: list[Bar], at: int, horizon: int, period: int, longest: int) -> float | None:
    changes: list[float] = []
    for before, bar in pairwise(past):
        if bar.window_end - before.window_end < longest:
            changes.append(bar.close - before.close)
        else:  # silent for so long, it is as if new
            changes = []
    if len(changes) < period:
        return None
    gain = total(max(change, 0.0) for change in changes[:period]) / period
    loss = total(max(-change, 0.0) for change in changes[:period]) / period
    for change in changes[period:]:
        gain = (gain * (period - 1) + max(change, 0.0)) / period
        loss = (loss * (period - 1) + max(-change, 0.0)) / period
    return 100 * (gain / (gain + loss)) if gain + loss else 0.0


def volatility(past: list[Bar], at: int, horizon: int, period: int, longest: int) -> float | None:
    deviations, _ = log_return_deviations(inside(past, at - horizon, at))
    if len(deviations) < 2:
        return None
    return math.sqrt(total(d * d for d in deviations) / (len(deviations) - 1))


def skewness(past: list[Bar], at: int, horizon: int, period: int, longest: int) -> float | None:
    deviations, mean = log_return_deviations(inside(past, at - horizon, at))
    n = len(deviations)
    if n < 3 or not (second := total(d * d for d in deviations) / n) > (EPSILON * mean) ** 2:
        return None
    third = total(d * d * d for d in deviations) / n
    return math.sqrt(n * (n - 1)) / (n - 2) * third / (second * math.sqrt(second))


def kurtosis(past: list[Bar], at: int, horizon: int, period: int, longest: int) -> float | None:
    deviations, mean = log_return_deviations(inside(past, at - horizon, at))
    n = len(deviations)
    if n < 4 or not (second := total(d * d for d in deviations) / n) > (EPSILON * mean) ** 2:
        return None
    fourth = total((d * d) * (d * d) for d in deviations) / n
    return ((n * n - 1) * fourth / (second * second) - 3.0 * (n - 1) * (n - 1)) / ((n - 2) * (n - 3))


EPSILON = 2.0**-52

FORMULAS: dict[str, Callable[[list[Bar], int, int, int, int], float | None]] = {
    "vwap": vwap,
    "return": simple_return,
    "momentum": momentum,
    "rsi": rsi,
    "volatility": volatility,
    "skewness": skewness,
    "kurtosis": kurtosis,
}


def inside(past: list[Bar], after: int, until: int) -> list[Bar]:
    return [bar for bar in past if after < bar.window_end <= until]


def log_return_deviations(bars: list[Bar]) -> tuple[list[float], float]:
    """Log returns between consecutive bars less their mean, and the mean; NaN where a price is not positive."""
    logs = [float(np.log(bar.close)) if bar.close > 0 else math.nan for bar in bars]
    returns = [later - earlier for earlier, later in pairwise(logs)]
    mean = total(returns) / len(returns) if returns else math.nan
    return [value - mean for value in returns], mean


def total(values: Iterable[float]) -> float:
    """Plain additions from left to right; `sum` compensates for rounding from Python 3.12 on."""
    result = 0.0
    for value in values:
        result += value
    return result
