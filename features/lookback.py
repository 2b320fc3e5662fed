"""What the features of one window's symbols are computed from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from features import formulas
from features.feature_config import Kind
from features.history import History
from features.ring import LEAST_COLUMNS, Bools, Floats, Ints


class Lookback:
    """The windows of a history up to and including `slot`, as some of its columns see them.

    Each method of a kind takes a horizon in windows and returns an array of shape (columns,), NaN where undefined.
    """

    def __init__(self, history: History, slot: int, columns: Ints) -> None:
        self._history = history
        self._ring = history.ring
        self._slot = slot
        stop = max(int(columns.max()) + 1, LEAST_COLUMNS)
        self._in_place = 2 * columns.size >= stop
        if self._in_place:  # looking at a few columns too many where they lie costs less than copying the others
            self._columns, self._wanted = np.arange(stop), columns
        else:  # one column alone would be summed in another order: see features.ring
            self._columns, self._wanted = np.resize(columns, max(columns.size, LEAST_COLUMNS)), np.arange(columns.size)
        self._deviations: dict[int, formulas.Deviations] = {}

    def features(self, wanted: Iterable[tuple[Kind, int]]) -> Floats:
        """Compute features, each a kind and its horizon in windows; shape (features, columns)."""
        return np.stack([METHODS[kind](self, horizon) for kind, horizon in wanted])[:, self._wanted]

    def _at(self, name: str, slots: int | Ints) -> npt.NDArray[Any]:
        """Take a field of each column at a slot, or at one slot per column."""
        array: npt.NDArray[Any]
        if isinstance(slots, int):
            (array,) = self._rows(name, 1, slots)
        else:
            array = self._ring[name][self._ring.rows(slots), self._columns]
        return array

    def _rows(self, name: str, windows: int, end: int) -> npt.NDArray[Any]:
        """Take a field in so many windows up to slot `end`, shape (windows, columns)."""
        stop = self._ring.row(end) + 1
        windows_of_all: npt.NDArray[Any] = self._ring[name][stop - windows : stop]
        if self._in_place:
            return windows_of_all[:, : self._columns.size]
        # not array[rows, columns]: its result may lie in memory by columns, and sums follow the memory
        return np.take(windows_of_all, self._columns, axis=1)

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
        nearest = self._slot - bars
        if (self._at("last", nearest) == nearest).all() and (self._at("ordinal", nearest) == wanted).all():
            return self._at("close", nearest)  # all have had a bar in every window since
        low = np.full(wanted.shape, self._slot - within + 1)
        high = np.full(wanted.shape, nearest)
        for _ in range((within - bars).bit_length()):  # bisection: ordinals ascend
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
            self._deviations[horizon] = self._deviations_of(horizon)
        return self._deviations[horizon]

    def _deviations_of(self, horizon: int) -> formulas.Deviations:
        start, ordinal = self._slot - horizon, self._at("ordinal", self._slot)
        bars: Ints = ordinal - self._at("ordinal", start)
        count, most = bars - 1, int(bars.max())
        if (ordinal - self._at("ordinal", self._slot - most) == most).all():  # all in each of the newest windows
            return formulas.deviations_of_all(self._rows("log_return", most - 1, self._slot), count)
        before: Ints = self._rows("last", horizon, self._slot - 1)
        inside = (before > start) & (self._rows("last", horizon, self._slot) > before)
        return formulas.deviations(self._rows("log_return", horizon, self._slot), inside, count)


METHODS: Final[dict[Kind, Callable[[Lookback, int], Floats]]] = {
    "vwap": Lookback.vwap,
    "return": Lookback.simple_return,
    "volatility": Lookback.volatility,
    "momentum": Lookback.momentum,
    "rsi": Lookback.rsi,
    "skewness": Lookback.skewness,
    "kurtosis": Lookback.kurtosis,
}
