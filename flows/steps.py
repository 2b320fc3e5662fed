"""The steps of the dataflows, each built for one partition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import polars as pl

from codec.bars import without_bars
from contracts.batch import BARS, FEATURES, SIGNALS, MicroBatch
from features.bars.outcome_totals import OutcomeTotals
from features.bars.rows import FOR_ROOM
from features.bars.windows import Windows
from features.rolling.rolling import RollingFeatures
from flows.chain import Chain, Saved, Step
from flows.settings import Settings
from flows.spec import FlowSpec
from flows.state_shape import state_shape
from inference.engine import build
from telemetry.evaluators import EvaluatorIncidents
from telemetry.feeds import FeedWatch
from telemetry.observe import Observation, timed_features
from telemetry.step_cpu import counted


def windows(settings: Settings) -> Step:
    """Events to bars."""
    machine = Windows(settings.micro_batch, settings.span_ns)
    return Step("windows", machine, counted("windows", machine.step), machine.flush)


def totals(_: Settings) -> Step:
    """Totals of bars that were read."""
    machine = OutcomeTotals()
    return Step("totals", machine, counted("totals", machine.step))


def rolling(settings: Settings) -> Step:
    """Bars to features."""
    window = settings.micro_batch
    machine = RollingFeatures(settings.features.windows, window.window_ns, window.amend_ns)
    timed = timed_features(machine.step, settings.telemetry, window.interval)
    return Step("rolling", machine, counted("rolling", timed))


def inference(settings: Settings) -> Step:
    """Features to signals."""
    machine = build(settings.inference, settings.features.names, settings.span_ns, EvaluatorIncidents())
    return Step("inference", machine, counted("inference", machine.step))


_WINDOW_END: Final = {BARS: "window_end", FEATURES: "ts", SIGNALS: "ts"}

STEPS: Final[Mapping[str, Callable[[Settings], Step]]] = {
    step.__name__: step for step in (windows, totals, rolling, inference)
}


def chained(settings: Settings, spec: FlowSpec) -> Callable[[Saved | None], Chain]:
    """The builder for `op.stateful_batch`: the steps of the flow, then those common to all flows."""
    shape = state_shape(settings, spec)
    observe = Observation(settings.telemetry, settings.micro_batch.window_ms)
    # Bars that were read are not written again, nor do they say anything about feeds.
    own = without_bars if spec.reads == "bars_topic" else FeedWatch(settings.telemetry)
    last = within(settings), own, observe
    return lambda saved: Chain([STEPS[name](settings) for name in spec.steps], last, shape, saved)


def within(settings: Settings) -> Callable[[MicroBatch], MicroBatch]:
    """Keeps only rows to be written: windows inside [from, to), and results of a complete state."""
    inside = _inside_span(settings) if settings.run.is_span else lambda batch: batch
    return lambda batch: inside(_of_whole_state(batch) if batch.write_from else batch)


def _of_whole_state(batch: MicroBatch) -> MicroBatch:
    def later(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.filter(pl.col("offset") >= batch.write_from)

    rejects = batch.rejects.filter(~pl.col("reason").is_in(FOR_ROOM) | (pl.col("offset") >= batch.write_from))
    results = {stream: later(rows) for stream, rows in batch.results.items()}
    return replace(batch, rejects=rejects, late=later(batch.late), results=results)


def _inside_span(settings: Settings) -> Callable[[MicroBatch], MicroBatch]:
    run, window_ns = settings.run, settings.micro_batch.window_ns
    lowest = run.from_ns if run.from_ns is not None else -(2**63)
    highest = run.to_ns if run.to_ns is not None else 2**63 - 1

    def inside(frame: pl.DataFrame, end: str) -> pl.DataFrame:
        return frame.filter(pl.col(end) - window_ns >= lowest, pl.col(end) <= highest)

    def narrowed(batch: MicroBatch) -> MicroBatch:
        results = {stream: inside(rows, _WINDOW_END[stream]) for stream, rows in batch.results.items()}
        return replace(batch, results=results)

    return narrowed
