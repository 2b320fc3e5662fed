"""Wilder's averages of gains and losses, kept per symbol."""

from __future__ import annotations

from typing import Final

import numpy as np

from features.ring import Bools, Field, Floats, Ints, Ring

FIELDS: Final = ("changes", "gain", "loss")


class WilderAverages:
    """The recursion behind TA-Lib's RSI, for several periods at once.

    The first average is the mean of the first `period` changes; each later one is ((period - 1) * average + change) /
    period. After J. Welles Wilder, "New Concepts in Technical Trading Systems" (1978), as TA-Lib computes it. What it
    stood at after each of the last windows is kept, so that it can be taken up again from an amended one.
    """

    def __init__(self, periods: tuple[int, ...], depth: int, head: int) -> None:
        self._periods = np.array(periods, dtype=np.int64)[:, np.newaxis]
        self._index = {period: index for index, period in enumerate(periods)}
        averages = Field(0.0, carried=True, inner=(len(periods),))
        changes = Field(0, np.int64, carried=True)
        self.ring = Ring({"changes": changes, "gain": averages, "loss": averages}, depth, head)

    def step(self, slot: int, columns: Ints, change: Floats, present: Bools, linked: Bools) -> None:
        """Take a window's `change` of price into the averages of `columns`.

        Where a symbol is not `present` in the window its averages stay; where its bar is not `linked` to an earlier
        one they start anew. All arrays but `slot` have shape (columns,).
        """
        row = self.ring.row(slot)
        changes = self.ring["changes"]
        before: Ints = changes[row - 1, columns]
        count = np.where(linked, before + 1, 0)
        changes[row, columns] = np.where(present, count, before)
        for name, move in (("gain", np.maximum(change, 0.0)), ("loss", np.maximum(-change, 0.0))):
            averages = self.ring[name]
            average: Floats = averages[row - 1][:, columns]
            averages[row][:, columns] = np.where(present, self._next(average, move, count), average)

    def _next(self, average: Floats, move: Floats, count: Ints) -> Floats:
        """Shape (periods, columns), as `average`; `move` and `count`, the changes so far, are (columns,)."""
        periods = self._periods
        smoothed: Floats = (average * (periods - 1) + move) / periods
        if (count > periods).all():
            return smoothed
        total = np.where(count == 0, 0.0, average + move)  # until there are enough changes, their sum
        return np.where(count < periods, total, np.where(count == periods, total / periods, smoothed))

    def rsi(self, slot: int, columns: Ints, period: int) -> Floats:
        """RSI in percent after the window `slot`, NaN until `period` changes were seen; shape (columns,)."""
        row, index = self.ring.row(slot), self._index[period]
        gain: Floats = self.ring["gain"][row, index, columns]
        total = gain + self.ring["loss"][row, index, columns]
        value = np.where(total == 0.0, 0.0, 100.0 * (gain / total))  # a price that never moved has 0 in TA-Lib too
        return np.where(self.ring["changes"][row, columns] >= period, value, np.nan)

    def state(self, columns: Ints) -> dict[str, Floats]:
        """Copy the averages of `columns`; arrays of shape (windows, ..., columns)."""
        return {name: np.take(self.ring.live(name), columns, axis=-1) for name in FIELDS}

    def restore(self, columns: Ints, state: dict[str, Floats]) -> None:
        """Put back what `state` copied, into these columns."""
        for name, array in state.items():
            self.ring.live(name)[..., columns] = array
