"""Metrics of snapshots: size of the saved state, and duration."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, TypeVar

from telemetry.metrics import SNAPSHOT_DURATION, STATE_BYTES

_T = TypeVar("_T")


def timed_snapshot(step: str, take: Callable[[], _T]) -> _T:
    """Returns the result of `take` and observes its duration, without Bytewax's write afterwards."""
    with SNAPSHOT_DURATION.labels(step).time():
        return take()


def note_size(step: str, partition: int, state: object) -> None:
    """Records the size of the state in bytes when saved."""
    STATE_BYTES.labels(step, str(partition)).set(_pickled_bytes(state))


class _Counting:
    """A file that only counts the bytes written to it."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: Any) -> int:
        self.size += len(data)
        return len(data)

    def add(self, buffer: pickle.PickleBuffer) -> None:
        self.size += buffer.raw().nbytes


def _pickled_bytes(state: object) -> int:
    """The size as pickled by Bytewax, but without copying arrays, which are nearly all of it."""
    counting = _Counting()
    pickle.Pickler(counting, protocol=5, buffer_callback=counting.add).dump(state)
    return counting.size
