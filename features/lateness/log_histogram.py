"""Distributions of times in bounded memory: counts in buckets that grow by a constant factor.

Every quantile has a relative error of half a percent, as in DDSketch (Masson, Rim and Lee, VLDB 2019); the range covers
all possible times, so buckets are never collapsed.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from native.ordering import Ints

ERROR: Final = 0.005
_GROWTH: Final = (1 + ERROR) / (1 - ERROR)
_LOG_GROWTH: Final = math.log(_GROWTH)
_SMALLEST_NS: Final = 1_000  # shorter times count as 0
LAST: Final = math.ceil(math.log(2**63 / _SMALLEST_NS) / _LOG_GROWTH)

Floats = npt.NDArray[np.float64]


def buckets(times: Ints) -> Ints:
    """The bucket of each time, in nanoseconds: i > 0 for (g^(i-1), g^i] microseconds, -i for the same below 0."""
    found = np.zeros(len(times), np.int64)
    size = np.abs(times)
    away = np.flatnonzero(size >= _SMALLEST_NS)
    if len(away):
        steps = np.ceil(np.log(size[away] / _SMALLEST_NS) / _LOG_GROWTH).astype(np.int64)
        found[away] = np.maximum(steps, 1) * np.sign(times[away])
    return found


def middles(bucket: npt.ArrayLike, *, wide: int = 1) -> Floats:
    """The geometric middle of a bucket, or of `wide` buckets taken together."""
    number = np.asarray(bucket, np.float64)
    growth = _GROWTH**wide
    middle: Floats = np.sign(number) * _SMALLEST_NS * 2 * growth ** np.abs(number) / (growth + 1)
    return middle


class LogHistogram:
    """Counts of times in nanoseconds, including negative ones."""

    def __init__(self) -> None:
        self._counts: Ints = np.zeros(2 * LAST + 1, np.int64)
        self._bounds = (2**63 - 1, -(2**63))

    def __len__(self) -> int:
        return int(self._counts.sum())

    def add(self, times: Ints) -> Ints:
        """Counts the times, and returns the bucket of each."""
        found = buckets(times)
        if len(times):
            self._counts += np.bincount(found + LAST, minlength=len(self._counts))
            least, most = self._bounds
            self._bounds = min(least, int(times.min())), max(most, int(times.max()))
        return found

    @property
    def largest(self) -> int:
        """The exact largest time; there must be a time."""
        return self._bounds[1]

    def quantile(self, share: float) -> float:
        """The time at quantile `share`, to relative error ERROR; there must be a time."""
        rank = max(math.ceil(share * len(self)), 1)
        bucket = int(np.searchsorted(np.cumsum(self._counts), rank)) - LAST
        return float(np.clip(middles(bucket), *self._bounds))

    def share_below(self, time_ns: float) -> float:
        """The share of times in lower buckets than that of `time_ns`."""
        (bucket,) = buckets(np.array([time_ns], np.int64))
        return float(self._counts[: bucket + LAST].sum() / max(len(self), 1))

    def exceeded(self) -> tuple[Floats, Floats]:
        """Returns (positive times, ascending; the share of all times that exceed each), for each used bucket."""
        above = np.cumsum(self._counts[::-1])[::-1]
        used = LAST + 1 + np.flatnonzero(self._counts[LAST + 1 :])
        edges = _SMALLEST_NS * _GROWTH ** (used - LAST).astype(np.float64)
        return edges, (above[used] - self._counts[used]) / max(len(self), 1)
