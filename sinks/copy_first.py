"""Predicts whether a flow is ahead of everything stored, so that it writes new rows only."""

from __future__ import annotations

from typing import Final

_MOST: Final = 64  # flushes


class CopyFirst:
    """Predicts from the last flushes.

    After each wrong prediction, it requires twice as many flushes in a row: rows that are only updated look new.
    """

    def __init__(self) -> None:
        self._in_a_row, self._needed = 0, 1

    @property
    def is_likely(self) -> bool:
        """Whether the next flush is worth a COPY without a merge."""
        return self._in_a_row >= self._needed

    def flushed(self, *, is_new: bool) -> None:
        """Notes a flush that was written, and whether every row changed something."""
        self._in_a_row = self._in_a_row + 1 if is_new else 0

    def confirmed(self) -> None:
        """Notes that all rows were new, as predicted."""
        self._needed = 1

    def refused(self) -> None:
        """Notes that some rows were not new."""
        self._in_a_row, self._needed = 0, min(2 * self._needed, _MOST)
