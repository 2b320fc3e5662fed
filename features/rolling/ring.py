"""A ring of the newest windows: rows are symbols, columns are windows."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from native.jit import compiled

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]


class Fields(NamedTuple):
    """The fields of bars; arrays of one shape."""

    close: Floats
    log_close: Floats  # minus infinity if the price is not positive
    vwap: Floats  # NaN if nothing was traded
    volume: Floats


NEVER: Final = -(2**62)  # a slot before all others
UNUSED: Final = 2**62  # a slot after all others
STORED: Final = ("close", "vwap", "volume")  # the logarithm is derived
EMPTY: Final = (np.nan, np.nan, np.nan, 0.0)  # the fields of a symbol without a bar in a window


class Bars(NamedTuple):
    """Bars of one provider in the order of the log; arrays of shape (bars,)."""

    slots: Ints
    rows: Ints  # of their symbols
    fields: Fields

    def where(self, chosen: Bools | slice) -> Bars:
        """Those chosen by a mask or a slice."""
        return Bars(self.slots[chosen], self.rows[chosen], Fields(*(field[chosen] for field in self.fields)))


class Ring:
    """Fields of shape (symbols, windows) that hold at least the `depth` windows up to `head`.

    A window is identified by its slot: its end divided by its length. The capacity is a quarter more than the depth;
    when it is full, everything slides back, so that any span of windows is one slice, oldest first.
    """

    def __init__(self, depth: int, head: int) -> None:
        self.depth = depth
        self.head = head
        self.start = head - depth + 1  # the slot of column 0
        self.spare = depth // 4 + 1  # capacity for windows after the `depth` newest ones
        self.fields = Fields(*np.empty((len(EMPTY), 0, depth + self.spare)))
        self.last = np.zeros(0, np.int64)  # the slot of each symbol's newest bar, UNUSED for a free row

    @property
    def height(self) -> int:
        """The capacity for symbols."""
        return self.last.size

    def column(self, slot: int) -> int:
        """The column of the window `slot`."""
        return slot - self.start

    def has_room(self, slot: int) -> bool:
        """Whether the window `slot` can become the newest without a slide."""
        return self.column(slot) < self.depth + self.spare

    def slide(self, slot: int) -> None:
        """Drop all but the `depth` windows up to `slot`."""
        start = slot - self.depth + 1
        for field, empty in zip(self.fields, EMPTY, strict=True):
            _slide(field, self.last, start - self.start, empty)
        self.start = start

    def widen(self, symbols: int) -> None:
        """Grow to a capacity of `symbols`, by at least half, so that growth costs little per symbol.

        One field after the other, so that no more than one of them is there twice, and without touching rows that no
        symbol has yet, so that these take no memory.
        """
        if symbols <= self.height:
            return
        known, height = self.height, max(symbols, self.height + self.height // 2)
        for name in Fields._fields:
            self.fields = self.fields._replace(**{name: _wider(getattr(self.fields, name), height)})
        self.last = np.concatenate([self.last, np.full(height - known, UNUSED)])

    def begin(self, rows: Ints) -> None:
        """Assign rows to new symbols, cleared of former data."""
        for field, empty in zip(self.fields, EMPTY, strict=True):
            field[rows] = empty
        self.last[rows] = NEVER

    def free_idle(self) -> Ints:
        """Free and return the rows of symbols without a bar in the `depth` newest windows."""
        idle = np.flatnonzero(self.last <= self.head - self.depth)
        self.last[idle] = UNUSED
        return idle

    def write(self, bars: Bars) -> None:
        """Write bars of windows up to the newest; for several of the same window and symbol the last counts."""
        _write(self.fields, self.last, self.start, bars)

    def bars(self, rows: Ints) -> tuple[Bools, Floats]:
        """Return (where symbols have bars in the `depth` newest windows; `STORED` of each bar, symbol by symbol)."""
        end = self.column(self.head) + 1
        return _bars(self.fields, rows, end - self.depth, end)


def _wider(field: Floats, height: int) -> Floats:
    wider = np.empty((height, field.shape[1]))
    wider[: len(field)] = field
    return wider


@compiled
def _slide(field: Floats, last: Ints, shift: int, empty: float) -> None:
    for row in range(field.shape[0]):
        if last[row] == UNUSED:
            continue
        values = field[row]
        for column in range(len(values)):
            values[column] = values[column + shift] if column + shift < len(values) else empty


@compiled
def _write(fields: Fields, last: Ints, start: int, bars: Bars) -> None:
    for bar, row in enumerate(bars.rows):
        column = bars.slots[bar] - start
        fields.close[row, column] = bars.fields.close[bar]
        fields.log_close[row, column] = bars.fields.log_close[bar]
        fields.vwap[row, column] = bars.fields.vwap[bar]
        fields.volume[row, column] = bars.fields.volume[bar]
        last[row] = max(last[row], bars.slots[bar])


@compiled
def _bars(fields: Fields, rows: Ints, first: int, end: int) -> tuple[Bools, Floats]:
    present, count = np.empty((len(rows), end - first), np.bool_), 0
    for place, row in enumerate(rows):
        for window in range(end - first):
            present[place, window] = not np.isnan(fields.close[row, first + window])
            count += present[place, window]
    stored = np.empty((len(STORED), count))
    count = 0
    for place, row in enumerate(rows):
        for window in range(end - first):
            if present[place, window]:
                stored[0, count] = fields.close[row, first + window]
                stored[1, count] = fields.vwap[row, first + window]
                stored[2, count] = fields.volume[row, first + window]
                count += 1
    return present, stored
