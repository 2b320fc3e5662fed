"""Loads a model from its file, and refuses at the start one that could not predict later.

Loading a skops file runs no code; loading a pickle may, and is allowed only by `allow_pickle`. A skops file with types
other than those that skops considers safe is refused unless `trusted` names them.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contracts import frames
from inference.config import InferenceConfigError, SklearnConfig
from inference.model import Model

_PICKLES: Final = (".joblib", ".pickle", ".pkl")
# Values for trial predictions, each for all inputs. A model may contain a logarithm, a quotient or a list of known
# values, and then fails for some of them.
_TRIALS: Final = (0.5, 1.0, 0.0)

_SEVERAL: Final = "the model predicts several outputs; one is expected"

log = logging.getLogger("mdp.inference")


def load_model(config: SklearnConfig, features: Sequence[str]) -> Model:
    """Load the model in `config.model_path`, whose inputs are `features` and the bar's values.

    Raises:
        InferenceConfigError: one line that names the file and the reason.

    """
    path = Path(config.model_path)
    if not config.model_path:
        raise InferenceConfigError("adapter sklearn: name the model's file in inference.adapters.sklearn.model_path")
    if not path.is_file():
        raise InferenceConfigError(f"{path}: the model file does not exist")
    estimator = _read(path, config)
    inputs, named = _inputs(path, estimator, features)
    _require_numbers(path, estimator, config.threshold)

    import threadpoolctl  # noqa: PLC0415 - finds the pools of what is loaded by now

    pools = threadpoolctl.ThreadpoolController()
    model = Model(config.name or path.stem, estimator, inputs, named, config.threshold, pools)
    _require_one_output(path, model)
    return model


def _read(path: Path, config: SklearnConfig) -> Any:
    """Return the estimator in a file. A warning per part about another scikit-learn version is reported once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator = _load(path, config)
        except InferenceConfigError as error:
            if (other := _other_version(caught)) is None:
                raise
            raise InferenceConfigError(f"{error}; it was {_saved(other)}") from error
    other = _other_version(caught)
    if other is not None:
        _require_agreement(path, other, config)
    for one in caught:
        if not isinstance(one.message, type(other)):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return estimator


def _other_version(caught: Sequence[warnings.WarningMessage]) -> Any:
    """The first warning of scikit-learn that the versions differ, which names them; None if they do not."""
    exceptions = sys.modules.get("sklearn.exceptions")  # without its import there was no warning
    kind = getattr(exceptions, "InconsistentVersionWarning", ())
    return next((one.message for one in caught if isinstance(one.message, kind)), None)


def _saved(other: Any) -> str:
    return f"saved with scikit-learn {other.original_sklearn_version} and this is {other.current_sklearn_version}"


def _require_agreement(path: Path, other: Any, config: SklearnConfig) -> None:
    text = f"{path}: the model was {_saved(other)}"
    if config.on_version_mismatch == "refuse":
        raise InferenceConfigError(
            text, "fit it again, or set inference.adapters.sklearn.on_version_mismatch: warn if its predictions hold"
        )
    versions = {"saved_with": other.original_sklearn_version, "loaded_with": other.current_sklearn_version}
    log.warning("%s: its predictions may differ", text, extra={"model": str(path), **versions})


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
    """Return the columns that the estimator takes, in its order, and whether it takes them by name."""
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
            f"{path}: the model needs {', '.join(missing)}, which are not configured; known: {', '.join(known)}"
        )
    return tuple(str(name) for name in names), True


def _require_numbers(path: Path, estimator: Any, threshold: float | None) -> None:
    """Refuse a model whose predictions are not one number per row."""
    classes = getattr(estimator, "classes_", None)
    method = "predict" if classes is None or threshold is None else "predict_proba"
    if not hasattr(estimator, method):
        raise InferenceConfigError(f"{path}: {type(estimator).__name__} has no {method}, which is required")
    if isinstance(classes, list):
        raise InferenceConfigError(f"{path}: {_SEVERAL}")
    if classes is not None and len(classes) == 1:
        raise InferenceConfigError(
            f"{path}: the model was fitted on one class only, {classes[0]}, and can predict no other: fit it on both"
        )
    if method == "predict" and classes is not None and np.asarray(classes).dtype.kind not in "biuf":
        raise InferenceConfigError(f"{path}: the model predicts names, not numbers: set a threshold on the probability")


def _require_one_output(path: Path, model: Model) -> None:
    """Run trial predictions, and refuse a model that fails, or predicts more than one number per row."""
    failures = []
    for value in _TRIALS:
        try:
            outputs = _outputs(model, np.full((1, len(model.inputs)), value))
        except Exception as error:  # a model can raise anything
            failures.append(error)
        else:
            if outputs != 1:
                raise InferenceConfigError(f"{path}: {_SEVERAL}")
            return
    raise InferenceConfigError(
        f"{path}: the model cannot predict from {', '.join(model.inputs)}: {_one_line(failures[0])}"
    ) from failures[0]


def _outputs(model: Model, row: NDArray[np.float64]) -> int:
    """The count of numbers that the model predicts for one row; also calls it as the evaluator will."""
    outputs = model.ask("predict", row).size
    if outputs == 1:
        model(row)
    return outputs


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
