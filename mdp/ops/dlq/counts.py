"""Counts of the DLQ's records by kind."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mdp.ops.dlq.records import DlqRecord

OTHERS: Final = "(others)"
_MOST_ERRORS: Final = 1_000  # distinct error messages
_PLACE: Final = re.compile(r" \((byte \d+|the first of \d+ rows)\)")  # in a payload: left out to group errors


@dataclass(slots=True)
class Count:
    """Records of one reason and error; times are nanoseconds since the epoch."""

    reason: str
    error: str
    records: int = 0
    redriven: int = 0
    oldest: int = 2**63 - 1
    newest: int = -(2**63)

    def add(self, record: DlqRecord) -> None:
        self.records += 1
        self.redriven += record.redriven
        self.oldest, self.newest = min(self.oldest, record.failed_at), max(self.newest, record.failed_at)


def count(records: Iterable[DlqRecord]) -> list[Count]:
    """The counts, the largest first."""
    counts: dict[tuple[str, str], Count] = {}
    for record in records:
        error = _PLACE.sub("", record.error)
        if (record.reason, error) not in counts and len(counts) >= _MOST_ERRORS:
            error = OTHERS
        counts.setdefault((record.reason, error), Count(record.reason, error)).add(record)
    return sorted(counts.values(), key=lambda one: (-one.records, one.reason, one.error))
