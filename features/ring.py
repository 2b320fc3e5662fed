"""A ring of the newest windows: rows are windows, columns are symbols."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

# NumPy sums (rows, columns) over axis 0 row by row, oldest first, but a single column pairwise: never have just one.
LEAST_COLUMNS: Final = 2


@dataclass(frozen=True, slots=True)
class Field:
    """What one array of a ring holds for a window in which nothing has been written."""

    empty: float
    dtype: type[np.generic] = np.float64
    carried: bool = False  # the value of the window before it, rather than `empty`
    inner: tuple[int, ...] = ()  # axes between windows and symbols


class Ring:
    """Arrays of shape (windows, *inner, symbols) for the `depth` windows up to `head`.

    A window is named by its slot: its end divided by its length. Each array has room for a quarter more than the depth
    and slides back when it is full, so that any span of windows is one slice, oldest first.
    """

    def __init__(self, fields: Mapping[str, Field], depth: int, head: int) -> None:
        self._fields = fields
        self._depth = depth
        self._room = depth + depth // 4 + 2
        self._start = head - depth  # the slot of row 0: the window before the oldest is kept too
        self.head = head
        self.width = LEAST_COLUMNS
        self._arrays = {
            name: np.full((self._room, *field.inner, self.width), field.empty, field.dtype)
            for name, field in fields.items()
        }

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self._arrays[name]

    def row(self, slot: int) -> int:
        """Where the window `slot` lies in the arrays."""
        return slot - self._start

    def rows(self, slots: Ints) -> Ints:
        """Where several windows lie."""
        return slots - self._start

    def live(self, name: str) -> npt.NDArray[Any]:
        """View of the `depth` newest windows of an array."""
        end = self.row(self.head) + 1
        return self._arrays[name][end - self._depth : end]

    def advance(self, slot: int) -> None:
        """Make `slot` the newest window, and everything between it and the last one empty."""
        if slot <= self.head:
            return
        newest = {
            name: self._arrays[name][self.row(self.head)].copy()
            for name, field in self._fields.items()
            if field.carried
        }
        if self.row(slot) >= self._room:
            self._slide(slot)
        fresh = slice(max(self.row(self.head) + 1, 0), self.row(slot) + 1)
        for name, field in self._fields.items():
            self._arrays[name][fresh] = newest[name] if field.carried else field.empty
        self.head = slot

    def _slide(self, slot: int) -> None:
        start = slot - self._depth
        kept = slice(self.row(start), self.row(self.head) + 1)
        for array in self._arrays.values():
            array[: max(kept.stop - kept.start, 0)] = array[kept]
        self._start = start

    def widen(self, columns: int) -> None:
        """Make room for as many columns, at least half as many more, so that growth costs little per symbol."""
        if columns <= self.width:
            return
        width = max(columns, self.width + self.width // 2)
        for name, field in self._fields.items():
            old = self._arrays[name]
            self._arrays[name] = np.full((*old.shape[:-1], width), field.empty, field.dtype)
            self._arrays[name][..., : self.width] = old
        self.width = width
