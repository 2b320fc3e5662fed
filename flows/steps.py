"""What the dataflows are wired from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol

import polars as pl
from bytewax.operators import StatefulBatchLogic

from contracts.batch import MicroBatch
from features.rolling import RollingFeatures
from features.windows import Windows
from flows.settings import Settings
from flows.stop import STOP
from inference.engine import build


class Machine(Protocol):
    """A pure state machine of one partition."""

    def step(self, batch: MicroBatch) -> MicroBatch: ...
    def snapshot(self) -> Any: ...
    def restore(self, state: Any) -> None: ...


class Step(StatefulBatchLogic[MicroBatch, MicroBatch, Any]):
    """Runs a state machine inside Bytewax."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def on_batch(self, values: list[MicroBatch]) -> tuple[Iterable[MicroBatch], bool]:
        return [self._machine.step(batch) for batch in values], StatefulBatchLogic.RETAIN

    def snapshot(self) -> Any:
        return self._machine.snapshot()


class WindowsStep(Step):
    """Windows also answer the end of a bounded run. To Bytewax a stop is an end of file too: it emits nothing."""

    def __init__(self, windows: Windows) -> None:
        super().__init__(windows)
        self._windows = windows

    def on_eof(self) -> tuple[Iterable[MicroBatch], bool]:
        last = None if STOP.is_set() else self._windows.flush()
        return [last] if last else [], StatefulBatchLogic.RETAIN


Logic = Callable[[Any | None], Step]


def windows(settings: Settings) -> Logic:
    """Events to bars."""

    def logic(state: Any | None) -> Step:
        return WindowsStep(_resumed(Windows(settings.micro_batch), state))

    return logic


def rolling(settings: Settings) -> Logic:
    """Bars to features."""
    features, window = settings.features.windows, settings.micro_batch

    def logic(state: Any | None) -> Step:
        return Step(_resumed(RollingFeatures(features, window.window_ns, window.amend_ns), state))

    return logic


def inference(settings: Settings) -> Logic:
    """Features to signals."""

    def logic(state: Any | None) -> Step:
        return Step(_resumed(build(settings.inference, settings.features.names, settings.span_ns), state))

    return logic


def _resumed(machine: Any, state: Any | None) -> Any:
    if state is not None:
        machine.restore(state)
    return machine


def within(settings: Settings) -> Callable[[MicroBatch], MicroBatch]:
    """Leaves only the windows inside [from, to) to be written."""
    run, window_ns = settings.run, settings.micro_batch.window_ns
    if not run.is_span:
        return lambda batch: batch
    lowest = run.from_ns if run.from_ns is not None else -(2**63)
    highest = run.to_ns if run.to_ns is not None else 2**63 - 1

    def inside(frame: pl.DataFrame, end: str) -> pl.DataFrame:
        return frame.filter(pl.col(end) - window_ns >= lowest, pl.col(end) <= highest)

    def narrowed(batch: MicroBatch) -> MicroBatch:
        return replace(
            batch,
            bars=inside(batch.bars, "window_end"),
            features=None if batch.features is None else inside(batch.features, "ts"),
            signals=inside(batch.signals, "ts"),
        )

    return narrowed
