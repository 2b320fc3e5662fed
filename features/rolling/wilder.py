"""Wilder's averages of gains and losses, kept per symbol."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from features.rolling.ring import NEVER, UNUSED, Bars, Floats, Ints, Ring
from native.jit import compiled

AVERAGE: Final = np.dtype(
    [
        ("slot", np.int64),  # of the symbol's last bar
        ("close", np.float64),  # its price
        ("changes", np.int64),  # of price so far
        ("gain", np.float64),  # the averages; sums until there are enough changes
        ("loss", np.float64),
    ]
)
Averages: TypeAlias = npt.NDArray[Any]  # of dtype AVERAGE, shape (symbols, periods)


class _Recursion(NamedTuple):
    """The inputs of the recursion.

    Attributes:
        newest: its values after each symbol's last bar.
        settled: its values before the window `open`.
        span: a bar at least this many windows after its symbol's last one resets the symbol.
        closes: shape (symbols, windows); the first window has the slot `start`, the newest `head`.
        last: the slot of each symbol's newest bar, `UNUSED` for a free row.
    """

    newest: Averages
    settled: Averages
    periods: Ints
    span: int
    closes: Floats
    last: Ints
    start: int
    open: int
    head: int


class WilderAverages:
    """The recursion behind TA-Lib's RSI, for several periods at once.

    The first average is the mean of the first `period` changes; each later one is ((period - 1) * average + change) /
    period. After J. Welles Wilder, "New Concepts in Technical Trading Systems" (1978), as TA-Lib computes it.

    The state is its values after each symbol's last bar, and its values before some window of the ring, from which it
    is repeated when a bar has changed.
    """

    def __init__(self, periods: tuple[int, ...], span: int, amendable: int, head: int) -> None:
        self._periods, self._span, self._amendable = np.array(periods, np.int64), span, amendable
        self._open = head - amendable  # slot of the first window not in the settled averages
        self._newest = _nothing(0, len(periods))
        self.settled = _nothing(0, len(periods))

    def widen(self, symbols: int) -> None:
        """Grow to a capacity of `symbols`, by at least half."""
        known = len(self.settled)
        if symbols <= known:
            return
        more = _nothing(max(symbols, known + known // 2) - known, self._periods.size)
        self.settled, self._newest = np.concatenate([self.settled, more]), np.concatenate([self._newest, more])

    def begin(self, rows: Ints) -> None:
        """Assign rows to new symbols."""
        self.settled[rows] = self._newest[rows] = _nothing(1, self._periods.size)

    def settle(self, ring: Ring, slot: int) -> None:
        """Settle all windows that can no longer change once `slot` is the newest window."""
        fixed = slot - self._amendable
        if fixed > self._open:
            _follow_all(self.settled, self._recursion(ring), min(fixed - 1, ring.head))
            self._open = fixed

    def update(self, ring: Ring, bars: Bars) -> Floats:
        """Process bars that were written to the ring; return the RSIs after each of them, shape (periods, bars).

        They are in percent, NaN until there are as many changes as the period.
        """
        return _update(self._recursion(ring), bars.slots, bars.rows)

    def restore(self, ring: Ring, rows: Ints, settled: Averages) -> None:
        """Continue from the settled averages of some symbols."""
        self.settled[rows] = settled
        self._newest = self.settled.copy()
        _follow_all(self._newest, self._recursion(ring), ring.head)

    def _recursion(self, ring: Ring) -> _Recursion:
        averages, bars = (self._newest, self.settled), (ring.fields.close, ring.last)
        return _Recursion(*averages, self._periods, self._span, *bars, ring.start, self._open, ring.head)


def _nothing(symbols: int, periods: int) -> Averages:
    return np.full((symbols, periods), np.array((NEVER, 0.0, 0, 0.0, 0.0), AVERAGE))


@compiled
def _follow_all(averages: Averages, recursion: _Recursion, last: int) -> None:
    """Processes all bars of the open windows up to `last`."""
    for row in range(averages.shape[0]):
        if recursion.last[row] == UNUSED:
            continue
        for index in range(averages.shape[1]):
            _follow(averages[row, index], recursion, (row, index), recursion.open, last)


@compiled
def _update(recursion: _Recursion, slots: Ints, rows: Ints) -> Floats:
    values = np.empty((len(recursion.periods), len(rows)))
    for bar, row in enumerate(rows):
        for index, period in enumerate(recursion.periods):
            average, slot, which = recursion.newest[row, index], slots[bar], (row, index)
            if slot > average.slot:
                _follow(average, recursion, which, slot, slot)
                values[index, bar] = _rsi(average, period)
            else:  # a bar before the symbol's last one has changed
                recursion.newest[row, index] = recursion.settled[row, index]
                _follow(average, recursion, which, recursion.open, slot)
                values[index, bar] = _rsi(average, period)
                _follow(average, recursion, which, slot + 1, recursion.head)
    return values


@compiled
def _rsi(average: Any, period: int) -> float:
    total = average.gain + average.loss
    if average.changes < period:
        return np.nan
    return float(100.0 * (average.gain / total)) if total != 0.0 else 0.0  # 0 in TA-Lib too, if a price never moved


@compiled
def _follow(average: Any, recursion: _Recursion, which: tuple[int, int], first: int, last: int) -> None:
    """Processes the bars of one symbol in some windows, for one period."""
    row, index = which
    for slot in range(first, last + 1):
        close = recursion.closes[row, slot - recursion.start]
        if not np.isnan(close):
            _step(average, slot, close, recursion.periods[index], recursion.span)


@compiled
def _step(average: Any, slot: int, close: float, period: int, span: int) -> None:
    """Processes a symbol's next bar."""
    change = close - average.close
    if slot - average.slot >= span:  # after such a gap the symbol counts as new
        average.changes, average.gain, average.loss = 0, 0.0, 0.0
    else:
        average.changes += 1
        average.gain = _next(average.gain, max(change, 0.0), average.changes, period)
        average.loss = _next(average.loss, max(-change, 0.0), average.changes, period)
    average.slot, average.close = slot, close


@compiled
def _next(average: float, move: float, changes: int, period: int) -> float:
    if changes > period:
        return (average * (period - 1) + move) / period
    total = average + move  # until there are enough changes, their sum
    return total / period if changes == period else total
