"""How large saved state is, and how long it takes to take it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, TypeVar

from telemetry.metrics import SNAPSHOT_DURATION, STATE_BYTES

_T = TypeVar("_T")


def timed_snapshot(step: str, take: Callable[[], _T]) -> _T:
    """What `take` returns; how long it took is noted. That Bytewax writes it afterwards is not in it."""
    with SNAPSHOT_DURATION.labels(step).time():
        return take()


def note_size(step: str, partition: int, state: object) -> None:
    """Notes how many bytes the state takes when it is saved."""
    STATE_BYTES.labels(step, str(partition)).set(_pickled_bytes(state))


class _Counting:
    """A file that forgets what is written to it."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: Any) -> int:
        self.size += len(data)
        return len(data)

    def add(self, buffer: pickle.PickleBuffer) -> None:
        self.size += buffer.raw().nbytes


def _pickled_bytes(state: object) -> int:
    """As Bytewax would pickle it, but arrays, which are nearly all of it, are not copied for that."""
    counting = _Counting()
    pickle.Pickler(counting, protocol=5, buffer_callback=counting.add).dump(state)
    return counting.size
