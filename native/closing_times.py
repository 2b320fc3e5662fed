"""Which events may close a window, so that small fetches without one can wait for more."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contracts.record import Records
from native.jit import compiled
from native.json_scan import scan
from native.keyed_hash import Key, absorb, begin, hash_of, new_key
from native.memory import eight_bytes

_Ints = npt.NDArray[np.int64]

_PLACES: Final = 4_096  # a power of two
_NEVER: Final = -(2**63)


class ClosingTimes:
    """The end of the newest window of each provider of a partition, and its grace: what passes it may close windows.

    It is a guess, at plain JSON ticks before anybody has judged them: a wrong one costs a wait, or a batch more, and
    never changes a result. So providers are told apart by a short hash only, under a key, so that none can choose to be
    taken for another. All else cannot wait.
    """

    def __init__(self, window_ns: int, allow_late_ns: int, max_future_ns: int) -> None:
        self._window_ns, self._allow_late_ns, self._max_future_ns = window_ns, allow_late_ns, max_future_ns
        self._key = new_key()
        self._next = np.full(_PLACES, _NEVER, np.int64)
        self.ahead_ns = 0  # how far the soonest of them was ahead of the latest events, in their own time

    def pass_one(self, records: Records) -> bool:
        """Whether one of the events passes it; all of them count, as it moves on with each."""
        found = scan(records, self._max_future_ns)
        passes, self.ahead_ns = _pass_one(found, (self._next, self._key), self._window_ns, self._allow_late_ns)
        return passes


@compiled
def _pass_one(
    found: npt.NDArray[Any], table: tuple[_Ints, Key], window_ns: int, allow_late_ns: int
) -> tuple[bool, int]:
    passes, ahead_ns = False, window_ns
    following, key = table
    for row in range(len(found)):
        tick = found[row]
        if not tick.is_tick:
            passes = True
            continue
        place = np.int64(_hash(tick.provider_at, tick.provider_len, key)) & (_PLACES - 1)
        if tick.src_ts >= following[place]:
            passes = True
            window = (tick.src_ts - allow_late_ns) // window_ns + 1
            following[place] = window * window_ns + allow_late_ns
        ahead_ns = min(ahead_ns, following[place] - tick.src_ts)
    return passes, ahead_ns


@compiled
def _hash(at: int, length: int, key: Key) -> np.uint64:
    """Of a text of a record, after which there is more."""
    state = absorb(begin(key), np.uint64(length))
    for place in range(0, length, 8):
        spare = np.uint64(8 * max(place + 8 - length, 0))  # bits after the text
        state = absorb(state, np.uint64(eight_bytes(at + place)) << spare)
    return hash_of(state)


ClosingTimes(1, 0, 0).pass_one(Records.of([]))  # loads the compiled code now, rather than with the first record
