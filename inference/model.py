"""Adapter `sklearn`: a fitted scikit-learn model, called once per micro-batch for all rows.

The signal of a row:

    threshold set, the model has classes    a signal where P(last of classes_) >= threshold: value 1, score that P
    threshold set, no classes (regressors)  a signal where |prediction| >= threshold: value the prediction, score 1
    no threshold                            always a signal: value the prediction, score 1

A row with a feature that is null (or not finite), or with a prediction that is not finite, has no signal.

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
# differently. Only whole blocks are passed, so that a row's score does not depend on its batch; and in column-major
# order, as its sums depend on that, too.
_BLOCK: Final = 64


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted estimator that matches the configured features."""

    name: str
    estimator: Any
    inputs: tuple[str, ...]
    named: bool  # the estimator expects a frame with column names
    threshold: float | None
    thread_pools: Any  # threadpoolctl.ThreadpoolController of the estimator's libraries

    def __call__(self, rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Return value, score and whether to emit, for each row of finite inputs; there must be at least one row."""
        if self.threshold is not None and hasattr(self.estimator, "classes_"):
            score = np.asarray(self.ask("predict_proba", rows)[:, -1], dtype=np.float64)
            return np.ones_like(score), score, score >= self.threshold
        value = np.asarray(self.ask("predict", rows).reshape(len(rows)), dtype=np.float64)
        return value, np.ones_like(value), np.isfinite(value) & (np.abs(value) >= (self.threshold or 0.0))

    def ask(self, method: str, rows: NDArray[np.float64]) -> NDArray[Any]:
        """Return the estimator's result of `method`: an item for each of `rows`, of any shape and type."""
        inputs = np.pad(rows, ((0, -len(rows) % _BLOCK), (0, 0)), mode="edge")
        with self._one_thread():
            answer = getattr(self.estimator, method)(
                pl.DataFrame(inputs, schema=self.inputs, orient="row") if self.named else np.asfortranarray(inputs)
            )
        return np.asarray(answer)[: len(rows)]

    @contextmanager
    def _one_thread(self) -> Iterator[None]:
        """Limit the libraries to the worker's own core; also, threads of a forest sum its trees in any order."""
        import joblib  # noqa: PLC0415 - part of scikit-learn, which costs seconds to import

        with self.thread_pools.limit(limits=1), joblib.parallel_config(backend="sequential"):
            yield


class ModelEvaluator:
    """Signals of a model; stateless."""

    name: Final = "sklearn"

    def __init__(self, model: Model) -> None:
        self._model = model

    def evaluate(self, features: pl.DataFrame) -> pl.DataFrame:
        """Return the signals of the rows without missing inputs."""
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
        """Return None: there is no state."""

    def restore(self, state: None) -> None:
        """Do nothing: there is no state."""
