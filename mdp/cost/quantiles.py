"""Quantiles of a histogram."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """The quantile `share` of the values, to the width of a bucket; None without values.

    Args:
        buckets: cumulative counts by ascending upper bounds; the last bound is infinite.
        share: between 0 and 1.
    """
    total = max(buckets.values(), default=0.0)
    if not total:
        return None
    wanted = share * total
    for (low, before), (high, count) in pairwise([(0.0, 0.0), *buckets.items()]):
        if count >= wanted and count > before:
            return low if high == float("inf") else low + (high - low) * (wanted - before) / (count - before)
    return None
