"""Which keys of 16 bytes came lately: hash tables of a bounded size, the older of which is forgotten at a time."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from native.jit import compiled
from native.keyed_hash import Key, absorb, begin, hash_of, new_key

Keys = npt.NDArray[np.uint64]  # two words each

_EMPTY: Final = np.uint64(0)


class RecentKeys:
    """At least the last `least` keys, and at most twice as many."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._key = new_key()
        self._newer = self._older = np.zeros((1, 2), np.uint64)
        self._room = 0

    def add(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Takes keys; returns which of them are neither known nor come before in there."""
        if len(keys) > self._room:
            self._older, self._room = self._newer, max(self._least, len(keys))
            self._newer = np.zeros((1 << (2 * self._room).bit_length(), 2), np.uint64)
        is_new = np.empty(len(keys), np.bool_)
        _add(self._newer, self._older, self._key, keys, is_new)
        self._room -= len(keys)
        return is_new


@compiled
def _add(newer: Keys, older: Keys, key: Key, keys: Keys, is_new: npt.NDArray[np.bool_]) -> None:
    for row in range(len(keys)):
        first, second = keys[row, 0], keys[row, 1]
        hashed = hash_of(absorb(absorb(begin(key), first), second))
        place = _place(newer, first, second, hashed)
        is_known = newer[place, 0] == first and newer[place, 1] == second
        if not is_known:
            newer[place, 0], newer[place, 1] = first, second
            place = _place(older, first, second, hashed)
            is_known = older[place, 0] == first and older[place, 1] == second
        is_new[row] = not is_known


@compiled
def _place(table: Keys, first: np.uint64, second: np.uint64, hashed: np.uint64) -> int:
    """The slot that holds a key, or is to hold it: at least half of the slots are empty."""
    place = np.int64(hashed) & (len(table) - 1)
    while (table[place, 0] != first or table[place, 1] != second) and (
        table[place, 0] != _EMPTY or table[place, 1] != _EMPTY
    ):
        place = (place + 1) & (len(table) - 1)
    return int(place)


RecentKeys(1).add(np.ones((1, 2), np.uint64))  # loads the compiled code at import, rather than at the first use
