"""How far a flow has come through one partition of its source topic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, NamedTuple

from contracts.errors import MdpError

Source = tuple[str, int]  # topic and partition

_NAMED: Final = 3  # partitions in a message


class Reached(NamedTuple):
    """What has been read and written.

    Attributes:
        first_offset: where the flow began to read the partition.
        next_offset: what every record before this one led to is written.
    """

    first_offset: int
    next_offset: int


NOT_BEGUN: Final = Reached(0, 0)


class Loss(NamedTuple):
    """What an output lacks of one partition: what its records from `start` up to before `end` led to."""

    first_offset: int
    start: int
    end: int


class SetBack(MdpError):  # noqa: N818 - says what happened
    """An output lacks what it had acknowledged; the flow makes up for it when it starts again."""

    passes: ClassVar[bool] = True

    def __init__(self, output: str, losses: Mapping[Source, Loss]) -> None:
        self.losses = losses
        parts = [
            f"{topic}[{partition}] from record {loss.start} to {loss.end - 1}"
            for (topic, partition), loss in sorted(losses.items())
        ]
        more = f" and {len(parts) - _NAMED} more partitions" if len(parts) > _NAMED else ""
        super().__init__(
            f"{output} has gone back, and lacks what it had of {', '.join(parts[:_NAMED])}{more}",
            "the flow has to start again",
        )
