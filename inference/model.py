"""Adapter `sklearn`: a fitted scikit-learn model, asked once per micro-batch for all rows.

What a row becomes:

    threshold set, the model has classes    a signal where P(last of classes_) >= threshold: value 1, score that P
    threshold set, no classes (regressors)  a signal where |prediction| >= threshold: value the prediction, score 1
    no threshold                            always a signal: value the prediction, score 1

A row with a feature that is null (or not finite), and a prediction that is not finite, become no signal.

Models are read from skops files, which run no code when they are loaded, or from pickles if `allow_pickle` says so. A
skops file with types beyond those that skops knows to be harmless is refused unless `trusted` names them. The model
takes its inputs by name if it was fitted on named columns, otherwise the configured features in their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from contracts import frames
from inference.config import InferenceConfigError, SklearnConfig
from inference.evaluator import causes, no_signals, signals

_PICKLES: Final = (".joblib", ".pickle", ".pkl")
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
            score = self._ask(self.estimator.predict_proba, rows)[:, -1]
            return np.ones_like(score), score, score >= self.threshold
        value = self._ask(self.estimator.predict, rows).reshape(len(rows))
        return value, np.ones_like(value), np.isfinite(value) & (np.abs(value) >= (self.threshold or 0.0))

    def _ask(self, method: Any, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        inputs = np.pad(rows, ((0, -len(rows) % _BLOCK), (0, 0)), mode="edge")
        with self._one_thread():
            answer = method(
                pl.DataFrame(inputs, schema=self.inputs, orient="row") if self.named else np.asfortranarray(inputs)
            )
        return np.asarray(answer, dtype=np.float64)[: len(rows)]

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


def load_model(config: SklearnConfig, features: Sequence[str]) -> Model:
    """Load the model in `config.model_path`, which takes its inputs from `features` and the bar's values.

    Raises:
        InferenceConfigError: one line that names the file and why it cannot be used.

    """
    path = Path(config.model_path)
    if not config.model_path:
        raise InferenceConfigError("adapter sklearn: name the model's file in inference.adapters.sklearn.model_path")
    if not path.is_file():
        raise InferenceConfigError(f"{path}: there is no such model file")
    estimator = _load(path, config)
    inputs, named = _inputs(path, estimator, features)
    _require_numbers(path, estimator, config.threshold)

    import threadpoolctl  # noqa: PLC0415 - finds the pools of what is loaded by now

    pools = threadpoolctl.ThreadpoolController()
    return Model(config.name or path.stem, estimator, inputs, named, config.threshold, pools)


def _load(path: Path, config: SklearnConfig) -> Any:
    if path.suffix == ".skops":
        return _load_skops(path, config.trusted)
    if path.suffix not in _PICKLES:
        raise InferenceConfigError(f"{path}: expected a .skops file, or one of {', '.join(_PICKLES)}")
    if not config.allow_pickle:
        raise InferenceConfigError(
            f"{path}: loading a pickle can run any code in it: save the model as .skops, "
            "or set inference.adapters.sklearn.allow_pickle: true if you trust the file"
        )
    import joblib  # noqa: PLC0415

    try:
        return joblib.load(path)
    except Exception as error:  # a damaged pickle can raise anything
        raise InferenceConfigError(f"{path}: cannot load the model: {_one_line(error)}") from error


def _load_skops(path: Path, trusted: Sequence[str]) -> Any:
    import skops.io  # noqa: PLC0415 - imports scikit-learn
    from skops.io.exceptions import UntrustedTypesFoundException  # noqa: PLC0415

    try:
        return skops.io.load(path, trusted=list(trusted))
    except UntrustedTypesFoundException as error:
        untrusted = ", ".join(name for name in skops.io.get_untrusted_types(file=path) if name not in trusted)
        raise InferenceConfigError(
            f"{path}: refused, because the model holds untrusted types: {untrusted}; "
            "if you trust the file, name them in inference.adapters.sklearn.trusted"
        ) from error
    except Exception as error:  # a damaged file can raise anything
        raise InferenceConfigError(f"{path}: cannot load the model: {_one_line(error)}") from error


def _inputs(path: Path, estimator: Any, features: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """List the columns that the estimator takes, in its order, and whether it takes them by name."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        count = getattr(estimator, "n_features_in_", None)
        if count != len(features):
            raise InferenceConfigError(
                f"{path}: the model takes {count} unnamed features, but {len(features)} are configured "
                f"({', '.join(features)}): fit it on named columns, or configure the same number"
            )
        return tuple(features), False
    known = (*features, *frames.BAR_VALUES)
    if missing := [str(name) for name in names if name not in known]:
        raise InferenceConfigError(
            f"{path}: the model needs {', '.join(missing)}, which are not configured; there are {', '.join(known)}"
        )
    return tuple(str(name) for name in names), True


def _require_numbers(path: Path, estimator: Any, threshold: float | None) -> None:
    """Refuse a model whose answers are not one number per row."""
    classes = getattr(estimator, "classes_", None)
    method = "predict" if classes is None or threshold is None else "predict_proba"
    if not hasattr(estimator, method):
        raise InferenceConfigError(f"{path}: {type(estimator).__name__} has no {method}, which it needs here")
    if isinstance(classes, list):
        raise InferenceConfigError(f"{path}: the model predicts several outputs; one is expected")
    if method == "predict" and classes is not None and np.asarray(classes).dtype.kind not in "biuf":
        raise InferenceConfigError(f"{path}: the model predicts names, not numbers: set a threshold on the probability")


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
