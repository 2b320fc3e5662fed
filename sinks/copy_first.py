"""Whether a flow is ahead of all that is stored, so that it writes nothing but new rows."""

from __future__ import annotations

from typing import Final

_MOST: Final = 64  # flushes


class CopyFirst:
    """Goes by the last flushes.

    Each time that this was wrong, more of them in a row are asked for: rows that are merely updated look new.
    """

    def __init__(self) -> None:
        self._in_a_row, self._needed = 0, 1

    @property
    def is_likely(self) -> bool:
        """Whether the next flush is worth a COPY without a merge."""
        return self._in_a_row >= self._needed

    def flushed(self, *, is_new: bool) -> None:
        """A flush was written; whether it changed something with every row."""
        self._in_a_row = self._in_a_row + 1 if is_new else 0

    def confirmed(self) -> None:
        """All rows were new."""
        self._needed = 1

    def refused(self) -> None:
        """They were not."""
        self._in_a_row, self._needed = 0, min(2 * self._needed, _MOST)
