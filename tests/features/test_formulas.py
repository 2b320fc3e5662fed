"""Rolling features against TA-Lib, SciPy and NumPy, window by window."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
import pytest
import scipy.stats
import talib

from features.rolling.feature_config import Kind
from features.rolling.ring import Floats, Ints
from features.rolling.rolling import RollingFeatures
from tests.features.rolling_logs import WINDOW, feature, frame, row

Number: TypeAlias = float | np.floating[Any]
Values = TypeVar("Values", Floats, Ints)

HORIZON = 12
GENERATOR = np.random.default_rng(7)
EVERY = np.arange(1, 120)
GAPPY = np.sort(GENERATOR.choice(np.arange(1, 180), size=120, replace=False))
POSITIVE = 100 * np.exp(np.cumsum(GENERATOR.normal(0, 0.01, 120)))
SPREAD = np.cumsum(GENERATOR.normal(0, 1, 120))  # crosses zero
STEPS = 100 + np.round(np.cumsum(GENERATOR.normal(0, 0.2, 120)))  # stands still at times

every_and_gappy = pytest.mark.parametrize("slots", [EVERY, GAPPY], ids=["every window", "gaps"])


def computed(
    kind: Kind,
    slots: Ints | Sequence[int],
    closes: Floats | Sequence[float],
    volumes: Floats | Sequence[float] | None = None,
    windows: int = HORIZON,
) -> Floats:
    """The feature at each bar, NaN for null."""
    volumes = np.ones(len(slots)) if volumes is None else volumes
    bars = [row(int(slot), float(c), volume=float(v)) for slot, c, v in zip(slots, closes, volumes, strict=False)]
    made = RollingFeatures([feature(kind, windows)], WINDOW, 3 * WINDOW).update(frame(bars))
    return made[f"{kind}_{windows}"].to_numpy()


def per_horizon(function: Callable[[Values], Number], slots: Ints, values: Values, least: int = 1) -> Floats:
    """`function` of the values in the horizon before each bar, NaN where there are fewer than `least`."""
    horizons = [values[: i + 1][slots[: i + 1] > slot - HORIZON] for i, slot in enumerate(slots)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # SciPy's about constant returns
        return np.array([function(horizon) if len(horizon) >= least else np.nan for horizon in horizons])


def of_log_returns(function: Callable[[Floats], Number]) -> Callable[[Floats], Number]:
    return lambda closes: function(np.diff(np.log(closes)))


def agree(ours: Floats, reference: Floats) -> None:
    np.testing.assert_allclose(ours, reference, rtol=1e-9, atol=1e-13)
    assert np.isfinite(reference).sum() > 50  # there was something to compare


@pytest.mark.parametrize("closes", [POSITIVE, SPREAD, STEPS], ids=["positive", "around zero", "steps"])
@pytest.mark.parametrize("windows", [2, 14])
def test_rsi_is_that_of_talib(closes: Floats, windows: int) -> None:
    agree(computed("rsi", EVERY, closes, windows=windows), talib.RSI(closes[: len(EVERY)], windows))


def test_rsi_skips_gaps() -> None:
    agree(computed("rsi", GAPPY, POSITIVE), talib.RSI(POSITIVE, HORIZON))


def test_rsi_of_a_price_that_never_moves_is_that_of_talib() -> None:
    flat = np.full(len(EVERY), 3.0)
    agree(computed("rsi", EVERY, flat), talib.RSI(flat, HORIZON))


@pytest.mark.parametrize("closes", [POSITIVE, SPREAD], ids=["positive", "around zero"])
@every_and_gappy
def test_momentum_is_rocp_of_talib(slots: Ints, closes: Floats) -> None:
    closes = closes[: len(slots)]
    reference = talib.ROCP(closes, HORIZON)
    reaches = slots[HORIZON:] - slots[:-HORIZON] < 2 * HORIZON
    reference[HORIZON:][~reaches] = np.nan
    agree(computed("momentum", slots, closes), reference)


@every_and_gappy
def test_volatility_is_the_sample_standard_deviation_of_numpy(slots: Ints) -> None:
    closes = POSITIVE[: len(slots)]
    reference = per_horizon(of_log_returns(lambda returns: np.std(returns, ddof=1)), slots, closes, least=3)
    agree(computed("volatility", slots, closes), reference)


@pytest.mark.parametrize("closes", [POSITIVE, STEPS], ids=["positive", "steps"])
@every_and_gappy
def test_skewness_is_that_of_scipy(slots: Ints, closes: Floats) -> None:
    closes = closes[: len(slots)]
    function = of_log_returns(lambda returns: scipy.stats.skew(returns, bias=False))
    agree(computed("skewness", slots, closes), per_horizon(function, slots, closes, least=4))


@pytest.mark.parametrize("closes", [POSITIVE, STEPS], ids=["positive", "steps"])
@every_and_gappy
def test_kurtosis_is_that_of_scipy(slots: Ints, closes: Floats) -> None:
    closes = closes[: len(slots)]
    function = of_log_returns(lambda returns: scipy.stats.kurtosis(returns, fisher=True, bias=False))
    agree(computed("kurtosis", slots, closes), per_horizon(function, slots, closes, least=5))


@every_and_gappy
def test_vwap_is_the_weighted_average_of_numpy(slots: Ints) -> None:
    closes, volumes = SPREAD[: len(slots)], np.abs(POSITIVE[: len(slots)] - 100)
    indices = np.arange(len(slots))
    reference = per_horizon(lambda chosen: np.average(closes[chosen], weights=volumes[chosen]), slots, indices)
    agree(computed("vwap", slots, closes, volumes), reference)


def test_return_in_every_window_is_the_change_over_the_horizon() -> None:
    reference = np.full(len(EVERY), np.nan)
    closes = POSITIVE[: len(EVERY)]
    reference[HORIZON:] = closes[HORIZON:] / closes[:-HORIZON] - 1
    agree(computed("return", EVERY, closes), reference)


def test_return_over_a_gap_has_the_last_bar_of_the_horizon_before_for_base() -> None:
    assert computed("return", [1, 2, 20], [50.0, 100.0, 110.0])[-1] == pytest.approx(0.1)
    assert np.isnan(computed("return", [1, 2, 2 + 2 * HORIZON], [50.0, 100.0, 110.0])[-1])


@pytest.mark.parametrize("kind", ["return", "momentum"])
def test_base_of_zero_gives_null(kind: Kind) -> None:
    assert np.isnan(computed(kind, [1, 2], [0.0, 1.0], windows=1)[-1])


@pytest.mark.parametrize("kind", ["volatility", "skewness", "kurtosis"])
@pytest.mark.parametrize("price", [0.0, -37.63])
def test_logarithm_of_what_is_not_positive_gives_null_while_it_is_in_the_horizon(kind: Kind, price: float) -> None:
    closes = POSITIVE[: len(EVERY)].copy()
    closes[30] = price
    values = computed(kind, EVERY, closes)
    assert np.isnan(values[30 : 30 + HORIZON]).all()
    assert np.isfinite(values[[29, 30 + HORIZON]]).all()


@pytest.mark.parametrize("kind", ["skewness", "kurtosis"])
def test_shape_of_constant_returns_is_null(kind: Kind) -> None:
    assert np.isnan(computed(kind, EVERY, np.full(len(EVERY), 3.0))).all()


def test_volatility_of_constant_returns_is_zero() -> None:
    assert (computed("volatility", EVERY, np.full(len(EVERY), 3.0))[2:] == 0).all()


def test_vwap_without_volume_is_null_and_bars_without_volume_do_not_count() -> None:
    values = computed("vwap", [1, 2, 3], [5.0, 6.0, 7.0], volumes=[0.0, 2.0, 0.0])
    assert np.isnan(values[0])
    assert values[1:].tolist() == [6.0, 6.0]


@pytest.mark.parametrize(
    ("kind", "bars"),
    [("vwap", 1), ("return", 13), ("volatility", 3), ("momentum", 13), ("rsi", 13), ("skewness", 4), ("kurtosis", 5)],
)
def test_first_value_comes_with_the_least_history(kind: Kind, bars: int) -> None:
    values = computed(kind, EVERY, POSITIVE[: len(EVERY)])
    assert np.isnan(values[: bars - 1]).all()
    assert np.isfinite(values[bars - 1 :]).all()


def test_overflow_gives_null() -> None:
    assert np.isnan(computed("return", [1, 2], [1e-300, 1e15], windows=1)[-1])
