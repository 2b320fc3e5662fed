"""How long a batch takes from its fetch through the flow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from contracts.batch import MicroBatch
from telemetry.metrics import observe_latency
from telemetry.step_cpu import counted

Write = Callable[[Sequence[MicroBatch]], None]


def written(sink: str, write: Write) -> Write:
    """`write` counted as the step `sink`; what closed windows is timed until it is committed there."""
    write = counted(sink, write)

    def timed(batches: Sequence[MicroBatch]) -> None:
        write(batches)
        for batch in batches:
            if batch.bars.height or batch.features is not None:
                observe_latency(sink, batch)

    return timed
