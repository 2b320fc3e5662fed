"""What one write to the database did."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that the database would not take: a value it cannot hold, or a broken constraint."""

    table: str
    key: str  # JSON object
    error: str
    row: str  # JSON object
    topic: str
    partition: int
    offset: int
    source_row: int
    time: int  # of its key, in nanoseconds since the epoch


@dataclass(slots=True)
class WriteResult:
    """What one write did: `changed` counts the rows inserted or updated, by table.

    `conflicts` counts bars left out because a bar from another partition stands in their place; it is counted when the
    log gets there, and not again when that part of it is read once more.
    """

    changed: dict[str, int] = field(default_factory=dict)
    conflicts: int = 0
    conflict_example: str = ""
    refused: list[RefusedRow] = field(default_factory=list)

    def add(self, other: WriteResult) -> None:
        """Counts in what another part of the same write did."""
        for table, count in other.changed.items():
            self.changed[table] = self.changed.get(table, 0) + count
        self.conflicts += other.conflicts
        self.conflict_example = self.conflict_example or other.conflict_example
        self.refused += other.refused
