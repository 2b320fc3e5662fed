"""Operator chaining: all steps of a partition run as one Bytewax operator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from bytewax.operators import StatefulBatchLogic

from contracts.batch import MicroBatch
from flows.state_shape import Shape, check_shape
from flows.stop import STOP
from telemetry.snapshots import note_size, timed_snapshot
from transports.kafka.backpressure import Backpressure

Run = Callable[[MicroBatch], MicroBatch]
Saved = tuple[Shape, Mapping[str, Any]]  # the state of each step, by its name


class Machine(Protocol):
    """A pure state machine of one partition.

    Its snapshot contains built-in types and NumPy arrays only: pickled, it refers to no class of ours or of Polars,
    which may have another name or form in the version that reads it.
    """

    def step(self, batch: MicroBatch) -> MicroBatch: ...
    def snapshot(self) -> Any: ...
    def restore(self, state: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one partition.

    Attributes:
        name: for its saved state and its CPU time.
        run: processes a batch.
        flush: returns the remaining output at the end of a bounded run, for the steps after it.
    """

    name: str
    machine: Machine
    run: Run
    flush: Callable[[], MicroBatch | None] | None = None


class Chain(StatefulBatchLogic[MicroBatch, MicroBatch, Saved]):
    """Passes each batch of a partition through all steps at once.

    Between two operators Bytewax polls the source again and passes all other partitions through the first operator, so
    a signal would wait at each operator for unrelated work.

    Args:
        stateful: the steps, in order.
        stateless: functions that run after them, in order.
        shape: what the state depends on; saved with it.
        saved: saved state of the same steps.

    Raises:
        StateMismatch: the saved state has another shape.
    """

    def __init__(self, stateful: Sequence[Step], stateless: Sequence[Run], shape: Shape, saved: Saved | None) -> None:
        self._stateful, self._stateless, self._shape = stateful, stateless, shape
        self._partition: int | None = None
        self._backpressure = Backpressure()
        if saved is not None:
            saved_shape, states = saved
            check_shape(saved_shape, shape)
            for step in stateful:
                step.machine.restore(states[step.name])

    def on_batch(self, values: list[MicroBatch]) -> tuple[Iterable[MicroBatch], bool]:
        self._partition = values[0].partition
        self._backpressure.handed_on()
        return [self._through(batch) for batch in values], StatefulBatchLogic.RETAIN

    def notify_at(self) -> datetime:
        return self._backpressure.next_look()

    def on_notify(self) -> tuple[Iterable[MicroBatch], bool]:
        self._backpressure.look()
        return [], StatefulBatchLogic.RETAIN

    def on_eof(self) -> tuple[Iterable[MicroBatch], bool]:
        """Flushes at the end of a bounded run. Bytewax also calls it on a stop, which emits nothing."""
        return [] if STOP.is_set() else list(self._flushed()), StatefulBatchLogic.RETAIN

    def _flushed(self) -> Iterable[MicroBatch]:
        for place, step in enumerate(self._stateful, 1):
            left = step.flush() if step.flush else None
            if left is not None:
                yield self._through(left, after=place)

    def _through(self, batch: MicroBatch, after: int = 0) -> MicroBatch:
        for step in self._stateful[after:]:
            batch = step.run(batch)
        for run in self._stateless:
            batch = run(batch)
        return batch

    def snapshot(self) -> Saved:
        states = {step.name: timed_snapshot(step.name, step.machine.snapshot) for step in self._stateful}
        if self._partition is not None:
            for name, state in states.items():
                note_size(name, self._partition, state)
        return self._shape, states
