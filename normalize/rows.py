"""What mappings make of raw messages, before it is validated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from contracts.message import MessageType
from contracts.record import Buffer

UNDECODABLE: Final = "undecodable"  # the reasons why a raw message becomes none: it is not JSON
UNMAPPED: Final = "unmapped"  # no mapping is for it
MAPPING: Final = "mapping"  # a value cannot be mapped, or the mapping fails
CONTRACT: Final = "contract"  # it becomes a message that breaks its contract


@dataclass(slots=True)
class Columns:
    """Messages to be, as columns of one length.

    Attributes:
        fields: of the payload, as JSON has them; numbers may be texts. Or the message itself, if it is made already.
        times: when it happened, in nanoseconds since the epoch, or in ISO 8601.
        sequences: the source's own numbers.
        own_ids: the source's own ids.
        errors: by their place, why some of them are none.
    """

    fields: list[Any]
    times: list[Any]
    sequences: list[int | None]
    own_ids: list[Any]
    errors: dict[int, str] = field(default_factory=dict)

    @classmethod
    def merged(cls, parts: Sequence[tuple[Sequence[int], Columns]]) -> Columns:
        """The messages of several, each at its place of all."""
        nothing: list[Any] = [None] * sum(len(places) for places, _ in parts)
        merged = cls(nothing, list(nothing), list(nothing), list(nothing))
        for places, part in parts:
            for name in ("fields", "times", "sequences", "own_ids"):
                column = getattr(merged, name)
                for at, value in zip(places, getattr(part, name), strict=True):
                    column[at] = value
            merged.errors |= {places[at]: error for at, error in part.errors.items()}
        return merged


class Mapper(Protocol):
    """Maps raw messages to messages of one type: each is read by itself, all that were read are mapped at once."""

    @property
    def kind(self) -> MessageType: ...

    def read(self, raw: Buffer) -> list[Any]:
        """What a raw message holds: something for each message that it is to become.

        Raises:
            msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is not JSON.
            ValueError: it cannot be mapped at all.
        """

    def columns(self, found: list[Any]) -> Columns:
        """The messages of all that was read, which it may change."""
