"""Finds records that repeatedly kill a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from telemetry.whereabouts import place_of

_LEAST_DEATHS: Final = 3
_MOST_DEATHS: Final = 8


class CrashLoop:
    """Compares deaths: repeated ones have the exit code and some of the records in flight in common.

    From the second death on these records are emitted in pieces, so fewer remain after each death. Processes that die
    for another reason, and make progress in between, have different records in flight each time.

    Attributes:
        in_common: by partition, the offsets of records that were in flight at each of the last deaths.
    """

    def __init__(self) -> None:
        self.in_common: dict[int, range] = {}
        self._code = 0
        self._deaths = 0

    def note(self, code: int, in_progress: Mapping[int, range]) -> None:
        """Notes a death with this exit code and these records in flight."""
        common = _common(self.in_common, in_progress) if code == self._code else {}
        self._deaths = self._deaths + 1 if common else 1
        self._code, self.in_common = code, common or dict(in_progress)

    @property
    def suspects(self) -> Mapping[int, range]:
        """The records to emit in pieces."""
        return self.in_common if self._deaths > 1 else {}

    @property
    def is_certain(self) -> bool:
        """Whether one record is left, or the search cannot narrow down further."""
        is_one = sum(map(len, self.in_common.values())) == 1
        return self._deaths >= (_LEAST_DEATHS if is_one else _MOST_DEATHS)

    def where(self, topics: Sequence[str]) -> str:
        """The text that names the records that all deaths have in common, in these topics of the flow."""
        places = [(place_of(row, len(topics)), records) for row, records in sorted(self.in_common.items())]
        return ", ".join(
            f"{topics[number]}[{partition}] {_numbers(records)}" for (number, partition), records in places
        )


def _numbers(records: range) -> str:
    return f"offset {records.start}" if len(records) == 1 else f"offsets {records.start} to {records.stop - 1}"


def _common(before: Mapping[int, range], now: Mapping[int, range]) -> dict[int, range]:
    shared = {partition: _overlap(before[partition], now[partition]) for partition in before.keys() & now.keys()}
    return {partition: records for partition, records in shared.items() if records}


def _overlap(one: range, other: range) -> range:
    return range(max(one.start, other.start), min(one.stop, other.stop))
