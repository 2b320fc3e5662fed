"""How far the reading of a partition has come, as whoever asks for metrics or for the worker's health sees it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

from telemetry.metrics import LAG_MS, LAG_OFFSETS

_open: Final[set[Reading]] = set()


class Reading:
    """One partition. Its reader tells of what it does; how far it lags is found out by whoever asks.

    Args:
        topic, partition, group: labels of its metrics.
        position: the next offset to be read.
        end: where the partition ends as far as is known; None if nothing is.
    """

    def __init__(
        self, topic: str, partition: int, group: str, position: Callable[[], int], end: Callable[[], int | None]
    ) -> None:
        self.partition: Final = partition
        self.has_begun = False
        self.asked_at = time.monotonic()  # when the worker last came to this partition
        self._position, self._end = position, end
        self._appended_ms = 0  # of the last record read
        self._caught_up_at = -math.inf  # when there was last nothing more to read
        LAG_MS.labels(topic, group, str(partition)).set_function(self.lag_ms)
        LAG_OFFSETS.labels(topic, str(partition)).set_function(self.lag_offsets)
        _open.add(self)

    def read(self, appended_ms: int) -> None:
        """Records have been read, the last of which has this Kafka timestamp."""
        self.has_begun, self._appended_ms = True, appended_ms

    def reached_end(self) -> None:
        """There is nothing more to read."""
        self.has_begun, self._caught_up_at = True, time.monotonic()

    def lag_offsets(self) -> int:
        """Offsets between what has been read and the end."""
        end = self._end()
        return 0 if end is None else max(0, end - self._position())

    def lag_ms(self) -> float:
        """How old what comes next may be; a record that comes after a long silence is not as old as that."""
        if not self.lag_offsets():
            self._caught_up_at = time.monotonic()
            return 0.0
        behind_ms = (time.monotonic() - self._caught_up_at) * 1e3
        return max(0.0, min(behind_ms, time.time() * 1e3 - self._appended_ms))

    def close(self) -> None:
        """The partition is read no longer."""
        _open.discard(self)


def readings() -> list[Reading]:
    """Of the partitions that this process reads, in their order."""
    return sorted(_open.copy(), key=lambda reading: reading.partition)
