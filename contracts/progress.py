"""How far a flow has come through one partition of its source topic."""

from __future__ import annotations

from typing import Final, NamedTuple


class Reached(NamedTuple):
    """What has been read and written.

    Attributes:
        first_offset: where the flow began to read the partition.
        next_offset: what every record before this one led to is written.
    """

    first_offset: int
    next_offset: int


NOT_BEGUN: Final = Reached(0, 0)
