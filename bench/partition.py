"""The steps of one partition in memory, as the market flow wires them: without Kafka, Bytewax and sinks."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence

from contracts.batch import MicroBatch
from contracts.record import Fetch, Records
from flows import endpoints, steps
from flows.settings import Settings
from flows.spec import MARKET

FETCH, BATCH = 4_000, 30_000  # records, as a worker reads them


def fetches(values: Sequence[bytes], first: int, times_ms: Sequence[int]) -> list[Fetch]:
    """A batch from offset `first` on, as if fetched."""
    return [
        _fetch(values[at : at + FETCH], first + at, times_ms[at : at + FETCH]) for at in range(0, len(values), FETCH)
    ]


def _fetch(values: Sequence[bytes], first: int, times_ms: Sequence[int]) -> Fetch:
    offsets = range(first, first + len(values))
    records = Records.of_values(values, offsets, times_ms)
    return Fetch(topic="events", partition=0, next_offset=offsets.stop, records=records)


class Partition:
    """A partition with initially empty state."""

    def __init__(self, settings: Settings) -> None:
        self._decode = endpoints.events(settings)
        self._steps = [steps.STEPS[name](settings) for name in MARKET.steps]

    def bars(self, parts: Iterable[Fetch]) -> MicroBatch:
        """Processes one batch to bars."""
        return self._steps[0].run(self._decode(parts))

    def signals(self, parts: Iterable[Fetch]) -> MicroBatch:
        """Processes one batch to signals."""
        batch = self.bars(parts)
        for step in self._steps[1:]:
            batch = step.run(batch)
        return batch

    def saved(self) -> int:
        """Bytes of a snapshot, pickled as by Bytewax."""
        return sum(len(pickle.dumps(step.machine.snapshot())) for step in self._steps)
