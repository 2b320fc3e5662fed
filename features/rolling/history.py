"""The bars of one provider that a feature can still need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import polars as pl

from features.rolling.feature_config import FeatureConfig
from features.rolling.ring import Bars, Fields, Floats, Ints, Ring
from features.rolling.symbol_rows import NOWHERE, SymbolRows
from features.rolling.wilder import Averages, WilderAverages


@dataclass(frozen=True, slots=True)
class Memory:
    """How far back the state reaches, in windows.

    A bar at least `span` windows after its symbol's last one resets the symbol. Bars up to `amendable` windows before
    the newest can still change. `periods` are those of the RSIs, ascending.
    """

    span: int
    amendable: int
    periods: tuple[int, ...]

    @classmethod
    def of(cls, features: Sequence[FeatureConfig], window_ns: int, amend_ns: int) -> Memory:
        """Derive what these features need."""
        periods = {feature.bars(window_ns) for feature in features if feature.kind == "rsi"}
        span = max((feature.span(window_ns) for feature in features), default=1)
        return cls(span, amend_ns // window_ns, tuple(sorted(periods)))

    @property
    def depth(self) -> int:
        """Windows to keep, so that the oldest amendable one has its whole span."""
        return self.span + self.amendable


class HistoryState(TypedDict):
    """The state of a history: only existing bars, as most symbols may trade rarely.

    Attributes:
        present: packed bits of an array of shape (symbols, windows): where there is a bar.
        bars: array of shape (stored fields, bars), symbol by symbol.
        averages: array of shape (symbols, periods).
    """

    head: int
    symbols: list[str]
    present: npt.NDArray[np.uint8]
    bars: Floats
    averages: Averages


class History:
    """Dense arrays of the newest windows of one provider, a row for each symbol."""

    def __init__(self, memory: Memory, head: int) -> None:
        self.memory = memory
        self.ring = Ring(memory.depth, head)
        self.averages = WilderAverages(memory.periods, memory.span, memory.amendable, head)
        self._symbols = SymbolRows()

    def rows(self, symbols: pl.Series) -> Ints:
        """Return the row of each of `symbols`; new ones get a row."""
        rows = self._symbols.locate(symbols)
        if (rows == NOWHERE).any():
            self._begin(self._symbols.add(symbols))
            rows = self._symbols.locate(symbols)
        return rows

    def _begin(self, rows: Ints) -> None:
        for kept in (self.ring, self.averages):
            kept.widen(int(rows.max()) + 1)
            kept.begin(rows)

    def forget_idle(self) -> None:
        """Free the rows of symbols whose last bar is out of reach of features and amendments."""
        idle = self.ring.free_idle()
        if idle.size:
            self._symbols.remove(idle)

    def is_reachable(self, slot: int) -> bool:
        """Whether a window is amendable, or newer than all others.

        The watermark is never behind the newest window, so a bar further back cannot be valid.
        """
        return slot >= self.ring.head - self.memory.amendable

    def amend(self, bars: Bars) -> None:
        """Record the reachable ones of some bars, of which only the first may be newer than all known ones."""
        newest = max(self.ring.head, int(bars.slots[0]))
        bars = bars.where(bars.slots >= newest - self.memory.amendable)
        if bars.slots.size:
            self.record(bars)

    def record(self, bars: Bars) -> Floats:
        """Write bars, and return the RSIs after each of them, shape (periods, bars).

        They are of known windows, or of new ones, oldest first, no further apart than the ring has spare windows. For
        several bars of the same window and symbol the last counts.
        """
        self._advance(int(bars.slots[0]), int(bars.slots.max()))
        self.ring.write(bars)
        return self.averages.update(self.ring, bars)

    def _advance(self, first: int, newest: int) -> None:
        if not self.ring.has_room(newest):
            self.averages.settle(self.ring, first)
            self.ring.slide(first)
        self.ring.head = max(self.ring.head, newest)

    def state(self) -> HistoryState:
        """Copy what cannot be recomputed."""
        rows = self._symbols.rows
        present, bars = self.ring.bars(rows)
        self.averages.settle(self.ring, self.ring.head)
        averages = self.averages.settled[rows]
        return HistoryState(
            head=self.ring.head,
            symbols=self._symbols.symbols,
            present=np.packbits(present),
            bars=bars,
            averages=averages,
        )

    @classmethod
    def of(cls, memory: Memory, state: HistoryState) -> History:
        """Rebuild the history of `state`; recomputed values are bit-identical."""
        history = cls(memory, state["head"])
        rows = history.rows(pl.Series(state["symbols"], dtype=pl.String))
        present = np.unpackbits(state["present"], count=rows.size * memory.depth).reshape(rows.size, memory.depth)
        places, windows = np.nonzero(present)
        close, vwap, volume = state["bars"]
        fields = Fields(close, log(close), vwap, volume)
        history.ring.write(Bars(windows + history.ring.start, rows[places], fields))
        history.averages.restore(history.ring, rows, state["averages"])
        return history


def log(price: Floats) -> Floats:
    """Logarithms; minus infinity for non-positive prices, which makes every result that uses it non-finite."""
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(price, 0.0))
