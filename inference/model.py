"""Adapter `sklearn`: a fitted scikit-learn model, asked once per micro-batch for all rows.

What a row becomes:

    threshold set, the model has classes    a signal where P(last of classes_) >= threshold: value 1, score that P
    threshold set, no classes (regressors)  a signal where |prediction| >= threshold: value the prediction, score 1
    no threshold                            always a signal: value the prediction, score 1

A row with a feature that is null (or not finite), and a prediction that is not finite, become no signal.

The model takes its inputs by name if it was fitted on named columns, otherwise the configured features in their order.
How models are read and checked is in inference.model_file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from inference.evaluator import causes, no_signals, signals

# BLAS computes the last few rows of a matrix with other instructions than full blocks of rows, and rounds them
# differently. Whole blocks only, so that a row's score does not depend on the batch it came in; and column after column
# in memory, as its sums depend on that, too.
_BLOCK: Final = 64


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted estimator that fits the configured features."""

    name: str
    estimator: Any
    inputs: tuple[str, ...]
    named: bool  # the estimator expects a frame with column names
    threshold: float | None
    thread_pools: Any  # threadpoolctl.ThreadpoolController of the libraries that the estimator uses

    def __call__(self, rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Value, score and whether to emit for each of at least one row of finite inputs."""
        if self.threshold is not None and hasattr(self.estimator, "classes_"):
            score = np.asarray(self.ask("predict_proba", rows)[:, -1], dtype=np.float64)
            return np.ones_like(score), score, score >= self.threshold
        value = np.asarray(self.ask("predict", rows).reshape(len(rows)), dtype=np.float64)
        return value, np.ones_like(value), np.isfinite(value) & (np.abs(value) >= (self.threshold or 0.0))

    def ask(self, method: str, rows: NDArray[np.float64]) -> NDArray[Any]:
        """What `method` of the estimator answers: a row for each of `rows`, in whatever form and type it does."""
        inputs = np.pad(rows, ((0, -len(rows) % _BLOCK), (0, 0)), mode="edge")
        with self._one_thread():
            answer = getattr(self.estimator, method)(
                pl.DataFrame(inputs, schema=self.inputs, orient="row") if self.named else np.asfortranarray(inputs)
            )
        return np.asarray(answer)[: len(rows)]

    @contextmanager
    def _one_thread(self) -> Iterator[None]:
        """Keep to the worker's own core; besides, threads of a forest add its trees up in any order."""
        import joblib  # noqa: PLC0415 - part of scikit-learn, which costs seconds to import

        with self.thread_pools.limit(limits=1), joblib.parallel_config(backend="sequential"):
            yield


class ModelEvaluator:
    """Signals of a model; keeps no state."""

    name: Final = "sklearn"

    def __init__(self, model: Model) -> None:
        self._model = model

    def evaluate(self, features: pl.DataFrame) -> pl.DataFrame:
        """Signals of the rows whose inputs are all there."""
        inputs = features[list(self._model.inputs)].to_numpy(order="c").astype(np.float64, copy=False)
        complete = np.isfinite(inputs).all(axis=1)  # null is NaN there
        if not complete.any():
            return no_signals()
        value, score, emit = self._model(inputs[complete])
        rows = np.flatnonzero(complete)[emit]
        if not len(rows):
            return no_signals()
        return signals(
            causes(features, rows),
            name=pl.Series([self._model.name]).new_from_index(0, len(rows)),
            value=pl.Series(value[emit]),
            score=pl.Series(score[emit]),
        )

    def snapshot(self) -> None:
        """There is nothing to keep."""

    def restore(self, state: None) -> None:
        """There is nothing to continue from."""
