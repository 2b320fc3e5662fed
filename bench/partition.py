"""The steps of one partition in memory, as the market flow wires them: without Kafka, Bytewax and sinks."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence

from confluent_kafka import Message

from contracts.batch import MicroBatch
from contracts.record import Fetch
from flows import connectors, steps
from flows.settings import Settings

FETCH, BATCH = 4_000, 30_000  # records, as a worker reads them


def messages(values: Iterable[bytes], first: int, times_ms: Sequence[int]) -> list[Message]:
    """What a consumer would hand out, from offset `first` on."""
    return [
        Message(topic="events", partition=0, offset=first + at, value=value, timestamp=(2, times_ms[at]))
        for at, value in enumerate(values)
    ]


class Partition:
    """Its state is empty at first."""

    def __init__(self, settings: Settings) -> None:
        self._decode = connectors.events(settings)
        parts = (steps.windows, steps.rolling, steps.inference)
        self._windows, self._rolling, self._inference = (part(settings, "market")(None) for part in parts)

    def bars(self, records: Sequence[Message]) -> MicroBatch:
        """One batch of at most `BATCH` records, to bars."""
        fetches = (
            Fetch(topic="events", partition=0, next_offset=part[-1].offset() + 1, records=part)
            for part in (records[first : first + FETCH] for first in range(0, len(records), FETCH))
        )
        (batch,), _ = self._windows.on_batch([self._decode(fetches)])
        return batch

    def signals(self, records: Sequence[Message]) -> MicroBatch:
        """One batch, to signals."""
        (batch,), _ = self._rolling.on_batch([self.bars(records)])
        (batch,), _ = self._inference.on_batch([batch])
        return batch

    def saved(self) -> int:
        """Bytes of a snapshot, made as Bytewax does it."""
        return sum(len(pickle.dumps(step.snapshot())) for step in (self._windows, self._rolling, self._inference))
