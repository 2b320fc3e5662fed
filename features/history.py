"""The bars of one provider that a feature can still need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from features.feature_config import FeatureConfig
from features.ring import Bools, Field, Floats, Ints, Ring
from features.symbol_columns import SymbolColumns
from features.wilder import WilderAverages

NEVER: Final = -(2**62)  # a slot before all others

FIELDS: Final = {
    "close": Field(np.nan),  # NaN where the symbol has no bar in the window
    "turnover": Field(0.0),  # vwap * volume
    "volume": Field(0.0),
    "log_return": Field(0.0),  # from the symbol's bar before, 0 where there is no bar or none before it
    "last": Field(NEVER, np.int64, carried=True),  # slot of the symbol's newest bar up to this window
    "ordinal": Field(0, np.int64, carried=True),  # how many bars the symbol has had up to this window
}
STORED: Final = ("close", "turnover", "volume")  # the other fields follow from these


@dataclass(frozen=True, slots=True)
class Memory:
    """How far back the state reaches, in windows.

    A bar at least `span` windows after its symbol's last one starts the symbol anew. Bars up to `amendable` windows
    before the newest can still change. `periods` are those of the RSIs, ascending.
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
        """Windows to keep, so that the oldest amendable one still has its whole span, and one before it."""
        return self.span + self.amendable + 1


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of one provider in the order of the log; arrays of shape (bars,)."""

    slots: Ints
    columns: Ints
    closes: Floats
    turnovers: Floats
    volumes: Floats

    def where(self, chosen: Bools | slice) -> Bars:
        """Those chosen by a mask or a slice."""
        return Bars(
            self.slots[chosen], self.columns[chosen], self.closes[chosen], self.turnovers[chosen], self.volumes[chosen]
        )


@dataclass(frozen=True, slots=True)
class HistoryState:
    """What a snapshot keeps of a history: only the bars that there are, as most symbols may trade but now and then.

    Attributes:
        present: bits of an array of shape (windows, symbols): where there is a bar.
        bars: of each, window by window.
        averages: arrays of shape (windows, ..., symbols).
    """

    head: int
    symbols: pl.Series
    present: npt.NDArray[np.uint8]
    bars: dict[str, Floats]
    averages: dict[str, Floats]


class History:
    """Dense arrays of the newest windows of one provider, all symbols side by side."""

    def __init__(self, memory: Memory, head: int) -> None:
        self.memory = memory
        self.ring = Ring(FIELDS, memory.depth, head)
        self.averages = WilderAverages(memory.periods, memory.amendable + 2, head)
        self._symbols = SymbolColumns()

    @property
    def head(self) -> int:
        """Slot of the newest window."""
        return self.ring.head

    def columns(self, symbols: pl.Series) -> Ints:
        """Look up the column of each of `symbols`; those not known yet get one."""
        columns = self._symbols.locate(symbols)
        if columns.null_count():
            added = self._symbols.add(symbols.filter(columns.is_null()))
            for ring in (self.ring, self.averages.ring):
                ring.widen(int(added.max()) + 1)
            columns = self._symbols.locate(symbols)
        return columns.to_numpy()

    def forget_idle(self) -> None:
        """Free the columns of symbols whose last bar no feature and no amendment can reach any more.

        What is left in them is out of reach for the next symbol too, so nothing has to be cleared.
        """
        columns = self._symbols.columns
        last = self.ring["last"][self.ring.row(self.head), columns]
        idle = columns[last <= self.head - self.memory.span - self.memory.amendable]
        if idle.size:
            self._symbols.remove(idle)

    def reachable(self, slots: Ints) -> Bools:
        """Which of `slots`, in the order of the log, were amendable when they came.

        The watermark never lags behind the newest window, so an amendment further back cannot be right.
        """
        newest = np.maximum(np.maximum.accumulate(slots), self.head)
        return slots >= newest - self.memory.amendable

    def is_reachable(self, slot: int) -> bool:
        """Whether a window that closes now is amendable, or newer than all others."""
        return slot >= self.head - self.memory.amendable

    def amend(self, bars: Bars) -> None:
        """Correct known windows, then add those that closed without a bar and have one now, oldest first."""
        bars = bars.where(self.reachable(bars.slots))
        known = bars.slots <= self.head
        if known.any():
            self.record(bars.where(known))
        new = bars.where(~known)
        for slot in np.unique(new.slots):
            self.record(new.where(new.slots == slot))

    def record(self, bars: Bars) -> None:
        """Write bars of known windows or of one new one; of several of the same window and symbol the last counts."""
        self._advance(int(bars.slots[-1]))
        at = (self.ring.rows(bars.slots), bars.columns)
        self.ring["close"][at] = bars.closes
        self.ring["turnover"][at] = bars.turnovers
        self.ring["volume"][at] = bars.volumes
        columns = bars.columns  # where one is there twice, the same is worked out twice: that costs less than to look
        for slot in range(int(bars.slots.min()), self.head + 1):
            change, present, linked = self._link(slot, columns)
            self.averages.step(slot, columns, change, present, linked)

    def _advance(self, slot: int) -> None:
        self.ring.advance(slot)
        self.averages.ring.advance(slot)

    def _link(self, slot: int, columns: Ints) -> tuple[Floats, Bools, Bools]:
        """Tie a window's bars to their symbols' bars before; (change of price, is there a bar, is there one before)."""
        ring, row = self.ring, self.ring.row(slot)
        before: Ints = ring["last"][row - 1, columns]
        close: Floats = ring["close"][row, columns]
        present: Bools = ~np.isnan(close)
        linked = present & (before > slot - self.memory.span)
        base: Floats = ring["close"][ring.rows(np.where(linked, before, slot)), columns]
        ring["last"][row, columns] = np.where(present, slot, before)
        ring["ordinal"][row, columns] = ring["ordinal"][row - 1, columns] + present
        ring["log_return"][row, columns] = np.where(linked, _log(close) - _log(base), 0.0)
        return close - base, present, linked

    def state(self) -> HistoryState:
        """Copy what cannot be worked out again."""
        columns = self._symbols.columns
        present = ~np.isnan(self.ring.live("close")[:, columns])
        windows, places = np.nonzero(present)
        return HistoryState(
            self.head,
            self._symbols.symbols,
            np.packbits(present),
            {name: self.ring.live(name)[windows, columns[places]] for name in STORED},
            self.averages.state(columns),
        )

    @classmethod
    def of(cls, memory: Memory, state: HistoryState) -> History:
        """Rebuild the history that `state` was taken from; what was not stored comes out to the same bits."""
        history = cls(memory, state.head - memory.depth)
        columns = history.columns(state.symbols)
        history._advance(state.head)
        present = np.unpackbits(state.present, count=memory.depth * columns.size).reshape(memory.depth, columns.size)
        windows, places = np.nonzero(present)
        for name, values in state.bars.items():
            history.ring.live(name)[windows, columns[places]] = values
        for slot in range(state.head - memory.depth + 1, state.head + 1):
            history._link(slot, columns)
        history.averages.restore(columns, state.averages)
        return history


def _log(price: Floats) -> Floats:
    # NaN rather than minus infinity, so that a price of 0 spoils a sum for good
    return np.log(np.where(price > 0.0, price, np.nan))
