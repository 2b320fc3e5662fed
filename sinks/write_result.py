"""The result of one write to the database."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that the database refused: an invalid value, or a violated constraint."""

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
    """The result of one write: `changed` counts the rows inserted or updated, by table.

    `conflicts` counts bars skipped because another partition wrote a bar with the same key. Reading that part of the
    log again does not count them again.
    """

    changed: dict[str, int] = field(default_factory=dict)
    conflicts: int = 0
    conflict_example: str = ""
    refused: list[RefusedRow] = field(default_factory=list)

    def add(self, other: WriteResult) -> None:
        """Adds the result of another part of the same write."""
        for table, count in other.changed.items():
            self.changed[table] = self.changed.get(table, 0) + count
        self.conflicts += other.conflicts
        self.conflict_example = self.conflict_example or other.conflict_example
        self.refused += other.refused
