"""How many rows of a partition became what, where each batch brings only its own counts."""

from __future__ import annotations

from dataclasses import asdict, replace

from contracts.batch import MicroBatch, Outcomes


class OutcomeTotals:
    """The running sum of the outcomes of one partition. Windows keep one of their own; bars that are read have none."""

    def __init__(self) -> None:
        self._sum = Outcomes()

    def step(self, batch: MicroBatch) -> MicroBatch:
        """`batch`, its outcomes those of all batches so far."""
        self._sum += batch.outcomes
        return replace(batch, outcomes=self._sum)

    def snapshot(self) -> dict[str, int]:
        """Take the sum, by outcome."""
        return asdict(self._sum)

    def restore(self, state: dict[str, int]) -> None:
        """Continue from a snapshot."""
        self._sum = Outcomes(**state)
