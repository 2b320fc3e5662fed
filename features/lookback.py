"""What the features of one window's symbols are computed from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from features import formulas
from features.feature_config import Kind
from features.history import History
from features.ring import Bools, Floats, Ints


class Lookback:
    """The windows of a history up to and including `slot`, as some of its columns see them.

    Each method takes a horizon in windows and returns an array of shape (columns,), NaN where undefined.
    """

    def __init__(self, history: History, slot: int, columns: Ints) -> None:
        self._history = history
        self._ring = history.ring
        self._slot = slot
        # one column alone would be summed in another order: see features.ring
        self._columns = columns if columns.size > 1 else np.repeat(columns, 2)
        self._deviations: dict[int, formulas.Deviations] = {}

    def _at(self, name: str, slots: int | Ints) -> npt.NDArray[Any]:
        """Take a field of each column at a slot, or at one slot per column."""
        row = self._ring.row(slots) if isinstance(slots, int) else self._ring.rows(slots)
        array: npt.NDArray[Any] = self._ring[name][row, self._columns]
        return array

    def _rows(self, name: str, windows: int, end: int) -> npt.NDArray[Any]:
        """Take a field in so many windows up to slot `end`, shape (windows, columns)."""
        stop = self._ring.row(end) + 1
        # not array[rows, columns]: its result may lie in memory by columns, and sums follow the memory
        return np.take(self._ring[name][stop - windows : stop], self._columns, axis=1)

    def vwap(self, horizon: int) -> Floats:
        """Volume-weighted average price of the bars in the horizon."""
        return formulas.vwap(self._rows("turnover", horizon, self._slot), self._rows("volume", horizon, self._slot))

    def simple_return(self, horizon: int) -> Floats:
        """Return since the last bar before the horizon, which is at most one horizon older than that."""
        base: Ints = self._at("last", self._slot - horizon)
        found = base > self._slot - 2 * horizon
        price = np.where(found, self._at("close", np.where(found, base, self._slot)), np.nan)
        return formulas.simple_return(self._at("close", self._slot), price)

    def momentum(self, horizon: int) -> Floats:
        """Rate of change since as many bars ago as the horizon has windows, within twice the horizon."""
        price = self._bar_before(horizon, within=2 * horizon)
        return formulas.rate_of_change(self._at("close", self._slot), price)

    def _bar_before(self, bars: int, within: int) -> Floats:
        """Find the close so many bars before the newest, NaN if that bar is not in the last `within` windows."""
        wanted: Ints = self._at("ordinal", self._slot) - bars
        low = np.full(wanted.shape, self._slot - within + 1)
        high = np.full(wanted.shape, self._slot)
        for _ in range(within.bit_length()):  # bisection: ordinals ascend
            middle = (low + high) >> 1
            early: Bools = self._at("ordinal", middle) < wanted
            low, high = np.where(early, middle + 1, low), np.where(early, high, middle)
        return np.where(self._at("ordinal", high) == wanted, self._at("close", high), np.nan)

    def rsi(self, horizon: int) -> Floats:
        """Relative strength index of the symbols' own bars, its period the windows of the horizon."""
        return self._history.averages.rsi(self._slot, self._columns, horizon)

    def volatility(self, horizon: int) -> Floats:
        """Sample standard deviation of the log returns in the horizon."""
        return formulas.volatility(self._log_returns(horizon))

    def skewness(self, horizon: int) -> Floats:
        """Bias-corrected skewness of the log returns in the horizon."""
        return formulas.skewness(self._log_returns(horizon))

    def kurtosis(self, horizon: int) -> Floats:
        """Bias-corrected excess kurtosis of the log returns in the horizon."""
        return formulas.kurtosis(self._log_returns(horizon))

    def _log_returns(self, horizon: int) -> formulas.Deviations:
        """Those between consecutive bars that both lie in the horizon."""
        if horizon not in self._deviations:
            start = self._slot - horizon
            before: Ints = self._rows("last", horizon, self._slot - 1)
            inside = (before > start) & (self._rows("last", horizon, self._slot) > before)
            count: Ints = self._at("ordinal", self._slot) - self._at("ordinal", start) - 1
            returns: Floats = self._rows("log_return", horizon, self._slot)
            self._deviations[horizon] = formulas.deviations(returns, inside, count)
        return self._deviations[horizon]


METHODS: Final[dict[Kind, Callable[[Lookback, int], Floats]]] = {
    "vwap": Lookback.vwap,
    "return": Lookback.simple_return,
    "volatility": Lookback.volatility,
    "momentum": Lookback.momentum,
    "rsi": Lookback.rsi,
    "skewness": Lookback.skewness,
    "kurtosis": Lookback.kurtosis,
}
