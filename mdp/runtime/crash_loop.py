"""Records that a cluster dies of, again and again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_LEAST_DEATHS: Final = 3
_MOST_DEATHS: Final = 8


class CrashLoop:
    """Compares deaths: what they have in common are the exit code and some of the records that were in hand.

    From the second on these records are handed on in pieces, so they are fewer after each death. Processes that die of
    something else, and get on in between, have others in hand each time.

    Attributes:
        in_common: by partition, the offsets of records that were in hand in each of the last deaths.
    """

    def __init__(self) -> None:
        self.in_common: dict[int, range] = {}
        self._code = 0
        self._deaths = 0

    def note(self, code: int, in_hand: Mapping[int, range]) -> None:
        """A process has died with this exit code and these records in hand."""
        common = _common(self.in_common, in_hand) if code == self._code else {}
        self._deaths = self._deaths + 1 if common else 1
        self._code, self.in_common = code, common or dict(in_hand)

    @property
    def suspects(self) -> Mapping[int, range]:
        """The records to hand on in pieces."""
        return self.in_common if self._deaths > 1 else {}

    @property
    def is_certain(self) -> bool:
        """Whether it has come down to one record, or will not."""
        is_one = sum(map(len, self.in_common.values())) == 1
        return self._deaths >= (_LEAST_DEATHS if is_one else _MOST_DEATHS)

    def where(self, topic: str) -> str:
        """The records that all deaths have in common."""
        return ", ".join(
            f"{topic}[{partition}] {_numbers(records)}" for partition, records in sorted(self.in_common.items())
        )


def _numbers(records: range) -> str:
    return f"offset {records.start}" if len(records) == 1 else f"offsets {records.start} to {records.stop - 1}"


def _common(before: Mapping[int, range], now: Mapping[int, range]) -> dict[int, range]:
    shared = {partition: _overlap(before[partition], now[partition]) for partition in before.keys() & now.keys()}
    return {partition: records for partition, records in shared.items() if records}


def _overlap(one: range, other: range) -> range:
    return range(max(one.start, other.start), min(one.stop, other.stop))
