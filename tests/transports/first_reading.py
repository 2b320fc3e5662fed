"""A flow that reads a topic for the first time."""

from __future__ import annotations

from collections.abc import Mapping

from contracts.progress import Reached


class FirstReading:
    """Nothing is written down of it yet, nor kept of what it writes down."""

    known: Mapping[int, Reached] = {}
    has_begun = False

    def begin(self, partition: int, offset: int) -> None:
        """From now on it is read."""
