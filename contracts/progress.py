"""The progress of a flow through a partition of its source topic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, NamedTuple

from contracts.errors import MdpError

Source = tuple[str, int]  # topic and partition

_NAMED: Final = 3  # partitions in a message


class Reached(NamedTuple):
    """The progress through a partition.

    Attributes:
        first_offset: where the flow began to read the partition.
        next_offset: the results of all records before this one are written.
    """

    first_offset: int
    next_offset: int


NOT_BEGUN: Final = Reached(0, 0)


class Loss(NamedTuple):
    """The results that an output has lost: those of a partition's records with start ≤ offset < end."""

    first_offset: int
    start: int
    end: int


class SetBack(MdpError):  # noqa: N818 - says what happened
    """An output has lost acknowledged data; the flow restores it after a restart."""

    passes: ClassVar[bool] = True

    def __init__(self, output: str, losses: Mapping[Source, Loss]) -> None:
        self.losses = losses
        parts = [
            f"{topic}[{partition}] from record {loss.start} to {loss.end - 1}"
            for (topic, partition), loss in sorted(losses.items())
        ]
        more = f" and {len(parts) - _NAMED} more partitions" if len(parts) > _NAMED else ""
        super().__init__(
            f"{output} has lost acknowledged results of {', '.join(parts[:_NAMED])}{more}",
            "the flow has to start again",
        )
