"""Predicts which events may close a window, so that small fetches without one can wait for more records."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.record import Records
from native.jit import compiled
from native.json_fields import Scanner
from native.json_scan import scan
from native.keyed_hash import Key, absorb, begin, hash_of, new_key
from native.memory import eight_bytes

_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]

_PLACES: Final = 4_096  # a power of two
_NEVER: Final = -(2**63)


class ClosingTimes:
    """End plus grace of the newest window of each provider of a partition: an event past it may close windows.

    Args:
        scanner: keeps `src_ts` and `provider` of plain ticks.

    It is an estimate from plain JSON ticks that are not validated yet: a wrong one costs a wait or one more batch, and
    never changes a result. So a short keyed hash is enough to distinguish providers; the key keeps a sender from
    choosing a collision. Records of any other kind do not wait.
    """

    def __init__(self, scanner: Scanner, window_ns: int, allow_late_ns: int, max_future_ns: int) -> None:
        self._scanner = scanner
        self._window_ns, self._allow_late_ns, self._max_future_ns = window_ns, allow_late_ns, max_future_ns
        self._key = new_key()
        self._next = np.full(_PLACES, _NEVER, np.int64)
        self.ahead_ns = 0  # event time from the latest events to the soonest closing time

    def pass_one(self, records: Records) -> bool:
        """Whether any of the events passes the closing time of its provider; every event advances it."""
        found = scan(records, self._scanner, self._max_future_ns)
        # Contiguous, as the column of a single record is: Numba compiles once more for each other layout.
        times, provider, length = map(np.ascontiguousarray, (found.integers("src_ts"), *found.texts("provider")))
        columns = found.is_plain, times, provider, length
        passes, self.ahead_ns = _pass_one(columns, (self._next, self._key), self._window_ns, self._allow_late_ns)
        return passes


@compiled
def _pass_one(
    found: tuple[_Bools, _Ints, _Ints, _Ints], table: tuple[_Ints, Key], window_ns: int, allow_late_ns: int
) -> tuple[bool, int]:
    passes, ahead_ns = False, window_ns
    (is_plain, src_ts, provider_at, provider_len), (following, key) = found, table
    for row in range(len(is_plain)):
        if not is_plain[row]:
            passes = True
            continue
        place = np.int64(_hash(provider_at[row], provider_len[row], key)) & (_PLACES - 1)
        if src_ts[row] >= following[place]:
            passes = True
            window = (src_ts[row] - allow_late_ns) // window_ns + 1
            following[place] = window * window_ns + allow_late_ns
        ahead_ns = min(ahead_ns, following[place] - src_ts[row])
    return passes, ahead_ns


@compiled
def _hash(at: int, length: int, key: Key) -> np.uint64:
    """Hash of a string inside a record: the bytes after it may be read."""
    state = absorb(begin(key), np.uint64(length))
    for place in range(0, length, 8):
        spare = np.uint64(8 * max(place + 8 - length, 0))  # bits after the string
        state = absorb(state, np.uint64(eight_bytes(at + place)) << spare)
    return hash_of(state)


_none = np.zeros(0, np.int64)  # loads the compiled code at import, rather than with the first record
_pass_one((np.zeros(0, np.bool_), _none, _none, _none), (np.zeros(_PLACES, np.int64), new_key()), 1, 0)
