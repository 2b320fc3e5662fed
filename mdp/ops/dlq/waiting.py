"""Refused records that wait for their retry."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from flows.dlq_section import AutoRule
from mdp.ops.dlq.records import DlqRecord

_MOST_BYTES: Final = 64_000_000
_LONGEST_SECONDS: Final = 86_400.0
_NS: Final = 1_000_000_000


def due_ns(record: DlqRecord, rule: AutoRule, now_ns: int) -> int:
    """When a record is to be sent back, in nanoseconds since the epoch: the same after a restart.

    A record that is to stay is due at once, so that it is counted.
    """
    if record.retries >= rule.max_retries:
        return now_ns
    wait = min(rule.backoff_s * 2.0**record.retries, _LONGEST_SECONDS)
    jitter = crc32(str(record.origin).encode()) / 2**33
    return min(record.failed_at, now_ns) + int(wait * (1 + jitter) * _NS)  # the time is in a header, and may be any


@dataclass
class Waiting:
    """Records by the time when they are due; their number and their bytes are bounded.

    Attributes:
        rules: by reason; records without a rule are not taken.
        most: maximum number of records.
    """

    rules: Mapping[str, AutoRule]
    most: int
    _heap: list[tuple[int, int, DlqRecord]] = field(default_factory=list)
    _added: int = 0
    _bytes: int = 0

    @property
    def is_full(self) -> bool:
        return len(self._heap) >= self.most or self._bytes >= _MOST_BYTES

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, record: DlqRecord, now_ns: int) -> None:
        """Take a record, unless it has been sent back or no rule is for it."""
        rule = self.rules.get(record.reason)
        if rule is None or record.redriven:
            return
        self._added += 1
        heapq.heappush(self._heap, (due_ns(record, rule, now_ns), self._added, record))
        self._bytes += _size(record)

    def due(self, now_ns: int, most: int) -> dict[str, list[DlqRecord]]:
        """Remove and return the first of the records that are due, by reason."""
        found: dict[str, list[DlqRecord]] = {}
        for _ in range(most):
            if not self._heap or self._heap[0][0] > now_ns:
                break
            record = heapq.heappop(self._heap)[2]
            self._bytes -= _size(record)
            found.setdefault(record.reason, []).append(record)
        return found


def _size(record: DlqRecord) -> int:
    return len(record.payload or b"")
