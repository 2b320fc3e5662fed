"""The inference step: a micro-batch with features in, the same batch with signals out."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast

import polars as pl

from contracts import frames
from contracts.batch import NO_SIGNALS, SIGNALS, MicroBatch
from contracts.ids import joined_ids
from contracts.timestamps import format_timestamp, format_timestamps
from inference.breaker import Breaker, Incidents, Unwatched
from inference.config import InferenceConfig, InferenceConfigError
from inference.evaluator import ENTRY_POINTS, Evaluator, EvaluatorFactory
from inference.lineage import Lineage
from inference.model import ModelEvaluator
from inference.model_file import load_model
from inference.rules import RulesEvaluator, load_rules

_UNWATCHED: Final = Unwatched()
_IDENTIFYING: Final = (*frames.FEATURE_KEY, "name")

# All partitions of a process share what was read from files.
_rules = functools.cache(load_rules)
_model = functools.cache(load_model)


class Inference:
    """All evaluators of one Kafka partition."""

    def __init__(
        self,
        evaluators: Sequence[Evaluator],
        incidents: Incidents = _UNWATCHED,
        lineages: Mapping[str, Lineage] = MappingProxyType({}),
    ) -> None:
        self._evaluators, self._lineages = tuple(evaluators), lineages
        self._timers = [incidents.timer(evaluator.name) for evaluator in evaluators]

    def step(self, batch: MicroBatch) -> MicroBatch:
        """Return `batch` with the signals of its features, in the order of rows, then of evaluators."""
        if batch.features is None or batch.features.is_empty() or not self._evaluators:
            return batch
        if not batch.provisional:
            return batch.having(SIGNALS, self._signals(batch.features))
        state = self.snapshot()
        signals = self._signals(batch.features)
        self.restore(state)
        return batch.having(SIGNALS, signals)

    def _signals(self, features: pl.DataFrame) -> pl.DataFrame:
        parts = []
        for evaluator, timer in zip(self._evaluators, self._timers, strict=True):
            with timer():
                signals = evaluator.evaluate(features)
            if signals.height:
                lineage = self._lineages.get(evaluator.name)
                told = signals if lineage is None else lineage.told(features, signals)
                parts.append(_complete(evaluator.name, told))
        if len(parts) > 1:
            return _in_row_order(features, pl.concat(parts))
        return parts[0] if parts else NO_SIGNALS

    def snapshot(self) -> Mapping[str, object]:
        """Return the state of each adapter."""
        return {evaluator.name: evaluator.snapshot() for evaluator in self._evaluators}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a snapshot; an adapter that it lacks starts without state."""
        for evaluator in self._evaluators:
            if evaluator.name in state:
                evaluator.restore(state[evaluator.name])


def _complete(adapter: str, signals: pl.DataFrame) -> pl.DataFrame:
    """Signals as frames.SIGNALS, built column by column, at a fraction of a query's cost."""
    columns = {column.name: column for column in signals}
    columns["adapter"] = pl.Series([adapter]).new_from_index(0, signals.height)
    provider, symbol, interval, ts, name = (columns[part] for part in _IDENTIFYING)
    columns["signal_id"] = joined_ids(provider, symbol, interval, _times(ts), name, columns["adapter"])
    if columns["meta"].null_count():
        columns["meta"] = columns["meta"].fill_null("{}")
    return pl.DataFrame([columns[name].alias(name) for name in frames.SIGNALS])


def _in_row_order(features: pl.DataFrame, signals: pl.DataFrame) -> pl.DataFrame:
    """`signals`, sorted stably by the feature rows that caused them."""
    positions = features.select(frames.FEATURE_KEY).with_row_index("position")
    placed = signals.join(positions, on=frames.FEATURE_KEY, how="left", maintain_order="left")
    return placed.sort("position", maintain_order=True).drop("position")


def _times(ts: pl.Series) -> pl.Series:
    """`ts` as text; mostly the end of a single window."""
    if ts.n_unique() > 1:
        return format_timestamps(ts)
    return pl.Series([format_timestamp(ts[0])]).new_from_index(0, len(ts))


def build(
    config: InferenceConfig, features: Sequence[str], span_ns: int, incidents: Incidents = _UNWATCHED
) -> Inference:
    """Build the inference of one partition; rules and models are read once per process.

    Args:
        config: the adapters.
        features: the names of the configured features.
        span_ns: nanoseconds after which a symbol without bars is forgotten.
        incidents: receives the failures of evaluators.

    Raises:
        InferenceConfigError: an adapter cannot be built as configured; one line that says why.

    """
    names = tuple(features)
    adapters = config.adapters
    evaluators: list[Evaluator] = []
    if adapters.rules is not None and adapters.rules.enabled:
        evaluators.append(RulesEvaluator(_rules(adapters.rules.file, names), span_ns))
    foreign: list[Evaluator] = []
    if adapters.sklearn.enabled:
        foreign.append(ModelEvaluator(_model(adapters.sklearn, names)))
    for adapter, installed in adapters.installed.items():
        if installed.enabled:
            foreign.append(_installed(adapter, installed.options, names, span_ns))
    evaluators += [Breaker(evaluator, config.breaker, incidents) for evaluator in foreign]
    return Inference(evaluators, incidents, _lineages(config, names) if config.lineage else {})


def _lineages(config: InferenceConfig, names: tuple[str, ...]) -> dict[str, Lineage]:
    """By the name of the evaluator. What an installed one looks at, is not known."""
    adapters = config.adapters
    found: dict[str, Lineage] = {}
    if adapters.rules is not None and adapters.rules.enabled:
        rules = _rules(adapters.rules.file, names)
        inputs = {rule.name: rule.inputs for rule in rules}
        found["rules"] = Lineage.of_file(adapters.rules.file, adapters.rules.version, inputs)
    if adapters.sklearn.enabled:
        model, file = _model(adapters.sklearn, names), Path(adapters.sklearn.model_path)
        found["sklearn"] = Lineage.of_file(file, adapters.sklearn.version, {model.name: model.inputs})
    for adapter, installed in adapters.installed.items():
        if installed.enabled:
            entry_point = _entry_points()[adapter]
            found[adapter] = Lineage(entry_point.value, entry_point.dist.version if entry_point.dist else "")
    return found


def _entry_points() -> dict[str, EntryPoint]:
    return {entry_point.name: entry_point for entry_point in entry_points(group=ENTRY_POINTS)}


def _installed(adapter: str, options: Mapping[str, Any], features: tuple[str, ...], span_ns: int) -> Evaluator:
    found = _entry_points()
    if adapter not in found:
        known = ", ".join(("rules", "sklearn", *sorted(found)))
        raise InferenceConfigError(f"inference.adapters.{adapter}: no such adapter is installed; known: {known}")
    try:
        factory = cast(EvaluatorFactory, found[adapter].load())
    except (ImportError, AttributeError) as error:
        raise InferenceConfigError(
            f"inference.adapters.{adapter}: cannot import {found[adapter].value}: {error}"
        ) from error
    try:
        evaluator = factory(options, features, span_ns)
    except ValueError as error:
        raise InferenceConfigError(str(error)) from error  # with its own message
    if evaluator.name != adapter:
        raise InferenceConfigError(f"inference.adapters.{adapter}: the evaluator has another name, {evaluator.name!r}")
    return evaluator
