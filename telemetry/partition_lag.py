"""The read position and lag of each partition, for metrics and health checks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

from telemetry.metrics import LAG_MS, LAG_OFFSETS

_open: Final[set[Reading]] = set()


class Reading:
    """The position in one partition. The reader updates it; the lag is computed on request.

    Args:
        topic, partition, group: labels of its metrics.
        position: the next offset to be read.
        end: the last known end offset of the partition; None if unknown.
    """

    def __init__(
        self, topic: str, partition: int, group: str, position: Callable[[], int], end: Callable[[], int | None]
    ) -> None:
        self.partition: Final = partition
        self.has_begun = False
        self.asked_at = time.monotonic()  # when the worker last polled this partition
        self._position, self._end = position, end
        self._appended_ms = 0  # of the last record read
        self._caught_up_at = -math.inf  # when the reader was last at the end
        LAG_MS.labels(topic, group, str(partition)).set_function(self.lag_ms)
        LAG_OFFSETS.labels(topic, str(partition)).set_function(self.lag_offsets)
        _open.add(self)

    def read(self, appended_ms: int) -> None:
        """Notes that records have been read, the last of which has this Kafka timestamp."""
        self.has_begun, self._appended_ms = True, appended_ms

    def reached_end(self) -> None:
        """Notes that nothing more can be read now: all has been read, unless a transaction is open."""
        self.has_begun = True
        if not self.lag_offsets():
            self._caught_up_at = time.monotonic()

    def lag_offsets(self) -> int:
        """Offsets between the position and the end."""
        end = self._end()
        return 0 if end is None else max(0, end - self._position())

    def lag_ms(self) -> float:
        """The possible age of the next record; one that arrives after a long silence is not that old."""
        if not self.lag_offsets():
            self._caught_up_at = time.monotonic()
            return 0.0
        behind_ms = (time.monotonic() - self._caught_up_at) * 1e3
        return max(0.0, min(behind_ms, time.time() * 1e3 - self._appended_ms))

    def close(self) -> None:
        """Removes the partition, which is no longer read."""
        _open.discard(self)


def readings() -> list[Reading]:
    """The readings of the partitions that this process reads, in order."""
    return sorted(_open.copy(), key=lambda reading: reading.partition)
