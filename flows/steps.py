"""What the dataflows are wired from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol

import polars as pl
from bytewax.operators import StatefulBatchLogic

from contracts.batch import MicroBatch
from features.rolling import RollingFeatures
from features.totals import Totals
from features.windows import Windows
from flows.settings import Settings
from flows.state_shape import Shape, check_shape, state_shape
from flows.stop import STOP
from inference.engine import build
from telemetry.evaluators import EvaluatorIncidents
from telemetry.observe import Answer, timed_features
from telemetry.snapshots import note_size, timed_snapshot
from telemetry.step_cpu import counted


class Machine(Protocol):
    """A pure state machine of one partition."""

    def step(self, batch: MicroBatch) -> MicroBatch: ...
    def snapshot(self) -> Any: ...
    def restore(self, state: Any) -> None: ...


Saved = tuple[Shape, Any]


class Step(StatefulBatchLogic[MicroBatch, MicroBatch, Saved]):
    """Runs a state machine inside Bytewax. What it saves says which config it belongs to."""

    def __init__(
        self, name: str, machine: Machine, shape: Shape, saved: Saved | None, answer: Answer | None = None
    ) -> None:
        self._name, self._machine = name, machine
        self._answer = counted(name, answer or machine.step)
        self._shape = shape
        self._partition: int | None = None
        if saved is not None:
            saved_shape, state = saved
            check_shape(saved_shape, shape)
            machine.restore(state)

    def on_batch(self, values: list[MicroBatch]) -> tuple[Iterable[MicroBatch], bool]:
        self._partition = values[0].partition
        return [self._answer(batch) for batch in values], StatefulBatchLogic.RETAIN

    def snapshot(self) -> Saved:
        state = timed_snapshot(self._name, self._machine.snapshot)
        if self._partition is not None:
            note_size(self._name, self._partition, state)
        return self._shape, state


class WindowsStep(Step):
    """Windows also answer the end of a bounded run. To Bytewax a stop is an end of file too: it emits nothing."""

    def __init__(self, windows: Windows, shape: Shape, saved: Saved | None) -> None:
        super().__init__("windows", windows, shape, saved)
        self._windows = windows

    def on_eof(self) -> tuple[Iterable[MicroBatch], bool]:
        last = None if STOP.is_set() else self._windows.flush()
        return [last] if last else [], StatefulBatchLogic.RETAIN


Logic = Callable[[Saved | None], Step]


def windows(settings: Settings, flow: str) -> Logic:
    """Events to bars."""
    shape = state_shape(settings, flow)
    return lambda saved: WindowsStep(Windows(settings.micro_batch), shape, saved)


def totals(settings: Settings, flow: str) -> Logic:
    """Bars that were read, counted."""
    shape = state_shape(settings, flow)
    return lambda saved: Step("totals", Totals(), shape, saved)


def rolling(settings: Settings, flow: str) -> Logic:
    """Bars to features."""
    features, window, shape = settings.features.windows, settings.micro_batch, state_shape(settings, flow)

    def step(saved: Saved | None) -> Step:
        machine = RollingFeatures(features, window.window_ns, window.amend_ns)
        answer = timed_features(machine.step, settings.telemetry, window.interval)
        return Step("rolling", machine, shape, saved, answer)

    return step


def inference(settings: Settings, flow: str) -> Logic:
    """Features to signals."""
    names, shape = settings.features.names, state_shape(settings, flow)
    return lambda saved: Step(
        "inference", build(settings.inference, names, settings.span_ns, EvaluatorIncidents()), shape, saved
    )


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
