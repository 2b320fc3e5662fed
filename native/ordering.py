"""Stable sorting of whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]


def ascending(numbers: npt.NDArray[Any]) -> Ints:
    """The indices that sort non-negative whole numbers stably.

    NumPy sorts 16 bits by radix, ten times as fast as longer numbers; so 32 bits are sorted in two passes.
    """
    largest = int(numbers.max(initial=0))
    if largest >> 32:
        return np.argsort(numbers, kind="stable")
    order = np.argsort(numbers.astype(np.uint16), kind="stable")
    if largest >> 16:
        upper = (numbers >> 16).astype(np.uint16)
        order = order[np.argsort(upper[order], kind="stable")]
    return order
