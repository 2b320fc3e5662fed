"""Running totals of the outcomes of a partition's rows, from the counts of each batch."""

from __future__ import annotations

from dataclasses import asdict, replace

from contracts.batch import MicroBatch, Outcomes


class OutcomeTotals:
    """The running sum of one partition's outcomes. Windows keep their own; bars read from a topic have none."""

    def __init__(self) -> None:
        self._sum = Outcomes()

    def step(self, batch: MicroBatch) -> MicroBatch:
        """Returns `batch` with the outcomes of all batches so far."""
        self._sum += batch.outcomes
        return replace(batch, outcomes=self._sum)

    def snapshot(self) -> dict[str, int]:
        """Take the sum, by outcome."""
        return asdict(self._sum)

    def restore(self, state: dict[str, int]) -> None:
        """Continue from a snapshot."""
        self._sum = Outcomes(**state)
