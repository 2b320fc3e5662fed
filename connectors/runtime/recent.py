"""The ids of the messages sent last, as many sources send messages again: after a reconnect, or with every poll."""

from __future__ import annotations

from typing import Final

MOST: Final = 100_000


class Recent:
    """Remembers at least the last half of `most` ids."""

    def __init__(self, most: int = MOST) -> None:
        self._half = most // 2
        self._newer: set[str] = set()
        self._older: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._newer or key in self._older

    def add(self, key: str) -> None:
        if len(self._newer) >= self._half:
            self._older, self._newer = self._newer, set()
        self._newer.add(key)
