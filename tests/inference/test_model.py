import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import polars as pl
import pytest
import sklearn
import skops.io
from sklearn.cluster import KMeans
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder, StandardScaler
from sklearn.svm import LinearSVC

from inference.config import InferenceConfigError, SklearnConfig
from inference.evaluator import EVALUATED
from inference.model import ModelEvaluator
from inference.model_file import load_model
from tests.inference.inference_frames import features

NAMES = ("momentum", "volatility", "rsi")
TRAINING = pl.DataFrame(np.random.default_rng(7).normal(size=(400, 3)) * [0.01, 0.2, 20.0], schema=list(NAMES))
TARGET = TRAINING["momentum"] * 50 + TRAINING["volatility"] - TRAINING["rsi"] / 40
UP = (TARGET > 0).cast(pl.Int64)
LABELS = np.column_stack([UP, 1 - UP])
HALVES = Pipeline(  # fitted apart from each other, on other columns
    [("scale", StandardScaler().fit(TRAINING)), ("fit", LinearRegression().fit(TRAINING[:, :2].to_numpy(), TARGET))]
)


def classifier(inputs: Any = TRAINING, target: Any = UP) -> Pipeline:
    return Pipeline([("scale", StandardScaler()), ("classify", LogisticRegression())]).fit(inputs, target)


def saved(folder: Path, estimator: Any) -> str:
    file = folder / "direction.skops"
    skops.io.dump(estimator, file)
    return str(file)


def evaluator(path: str, **more: Any) -> ModelEvaluator:
    return ModelEvaluator(load_model(SklearnConfig(model_path=path, **more), NAMES))


def refusal(path: str, names: tuple[str, ...] = NAMES, **more: Any) -> str:
    with pytest.raises(InferenceConfigError) as refused:
        load_model(SklearnConfig(model_path=path, **more), names)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.fixture
def rows() -> pl.DataFrame:
    return features(TRAINING.head(200).to_dicts())


def test_probabilities_over_the_threshold_become_signals_of_the_last_class(tmp_path: Path, rows: pl.DataFrame) -> None:
    model = classifier()
    result = evaluator(saved(tmp_path, model), threshold=0.6).evaluate(rows)
    probability = model.predict_proba(rows.select(NAMES))[:, -1]
    assert result.schema == EVALUATED
    assert result["offset"].to_list() == np.flatnonzero(probability >= 0.6).tolist()
    assert 0 < len(result) < len(rows)
    np.testing.assert_allclose(result["score"].to_numpy(), probability[probability >= 0.6], rtol=1e-14)
    assert set(result["value"]) == {1.0}
    assert set(result["name"]) == {"direction"}
    assert result["meta"][0] == '{"window":"2s","price":100.0}'


def test_without_a_threshold_every_row_gets_the_prediction(tmp_path: Path, rows: pl.DataFrame) -> None:
    model = classifier()
    result = evaluator(saved(tmp_path, model), name="side").evaluate(rows)
    assert result["value"].to_list() == model.predict(rows.select(NAMES)).tolist()
    assert set(result["score"]) == {1.0}
    assert set(result["name"]) == {"side"}


def test_a_regressor_signals_what_is_far_enough_from_zero(tmp_path: Path, rows: pl.DataFrame) -> None:
    model = LinearRegression().fit(TRAINING, TARGET)
    path = saved(tmp_path, model)
    prediction = model.predict(rows.select(NAMES))
    far = evaluator(path, threshold=0.5).evaluate(rows)
    assert far["offset"].to_list() == np.flatnonzero(np.abs(prediction) >= 0.5).tolist()
    assert (far["value"] < 0).any()
    assert (far["value"] > 0).any()
    np.testing.assert_allclose(evaluator(path).evaluate(rows)["value"].to_numpy(), prediction, rtol=1e-12)


def test_a_row_scores_the_same_to_the_bit_in_any_batch(tmp_path: Path) -> None:
    names = tuple(f"f{number}" for number in range(12))
    inputs = pl.DataFrame(np.random.default_rng(3).normal(size=(300, 12)), schema=list(names))
    rows = features(inputs.to_dicts(), names)
    for training in (inputs, inputs.to_numpy()):
        model = LinearRegression().fit(training, inputs.sum_horizontal().exp())
        signals = ModelEvaluator(load_model(SklearnConfig(model_path=saved(tmp_path, model)), names))
        whole = signals.evaluate(rows)["value"]
        for size in (1, 3, 7, 64, 65, 130):
            parts = [signals.evaluate(rows[start : start + size])["value"] for start in range(0, len(rows), size)]
            assert pl.concat(parts).equals(whole), size


def test_rows_with_a_missing_input_are_left_out_and_none_at_all_asks_nothing(tmp_path: Path) -> None:
    signals = evaluator(saved(tmp_path, classifier()))
    whole = {"momentum": 0.0, "volatility": 0.1, "rsi": 50.0}
    mixed = features([{**whole, "rsi": None}, whole, {**whole, "momentum": float("nan")}, {**whole, "close": 7.0}])
    assert signals.evaluate(mixed)["offset"].to_list() == [1, 3]
    assert signals.evaluate(mixed[:1]).is_empty()
    assert signals.evaluate(mixed.clear()).schema == EVALUATED


def test_inputs_go_to_the_model_by_name_and_may_be_values_of_the_bar(tmp_path: Path) -> None:
    reordered = TRAINING.select("rsi", "momentum").with_columns(trades=pl.lit(3.0))
    model = LinearRegression().fit(reordered, TARGET)
    result = evaluator(saved(tmp_path, model)).evaluate(features([{"momentum": 0.01, "rsi": 5.0, "trades": 3}]))
    expected = model.predict(pl.DataFrame({"rsi": [5.0], "momentum": [0.01], "trades": [3.0]}))
    np.testing.assert_allclose(result["value"].to_numpy(), expected, rtol=1e-12)


def test_a_model_must_find_its_features_among_the_configured(tmp_path: Path) -> None:
    path = saved(tmp_path, classifier())
    assert refusal(path, ("rsi", "skew")) == (
        f"{path}: the model needs momentum, volatility, which are not configured; "
        "known: rsi, skew, open, high, low, close, volume, vwap, buy_volume, sell_volume, trades"
    )
    unnamed = saved(tmp_path, classifier(TRAINING.to_numpy()))
    assert "takes 3 unnamed features, but 2 are configured (rsi, skew)" in refusal(unnamed, ("rsi", "skew"))


@pytest.mark.parametrize(
    ("estimator", "threshold", "message"),
    [
        (DummyClassifier().fit(TRAINING, UP * 0), 0.5, "was fitted on one class only, 0, and can predict no other"),
        (DummyClassifier().fit(TRAINING, UP * 0), None, "was fitted on one class only"),
        (DummyClassifier().fit(TRAINING, LABELS), 0.5, "predicts several outputs"),
        (LinearRegression().fit(TRAINING, np.column_stack([TARGET, TARGET])), None, "predicts several outputs"),
        (OneVsRestClassifier(LogisticRegression()).fit(TRAINING, LABELS), 0.5, "predicts several outputs"),
        (HALVES, None, "the model cannot predict from momentum, volatility, rsi: ValueError"),
        (LinearSVC().fit(TRAINING, UP), 0.5, "LinearSVC has no predict_proba"),
        (StandardScaler().fit(TRAINING), None, "StandardScaler has no predict"),
        (classifier(target=UP.replace_strict({0: "down", 1: "up"})), None, "predicts names, not numbers"),
    ],
)
def test_a_model_that_cannot_answer_with_numbers_is_refused(
    tmp_path: Path, estimator: Any, threshold: float | None, message: str
) -> None:
    assert message in refusal(saved(tmp_path, estimator), threshold=threshold)


def test_a_model_that_knows_only_some_values_is_not_refused_for_a_trial_with_others(tmp_path: Path) -> None:
    inputs = (TRAINING > 0).cast(pl.Int8)
    steps = [("values", OrdinalEncoder()), ("fit", LinearRegression())]
    model = Pipeline(steps).fit(inputs, TARGET)
    result = evaluator(saved(tmp_path, model)).evaluate(features([{"momentum": 1.0, "volatility": 0.0, "rsi": 1.0}]))
    assert result["value"].to_list() == pytest.approx(model.predict(pl.DataFrame([[1], [0], [1]], schema=NAMES)))


@pytest.mark.parametrize("suffix", ["skops", "joblib"])
def test_another_version_of_scikit_learn_is_one_line_of_the_log_or_a_refusal(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / f"old.{suffix}"
    with monkeypatch.context() as former:
        former.setattr(sklearn.base, "__version__", "1.4.2")
        skops.io.dump(classifier(), file) if suffix == "skops" else joblib.dump(classifier(), file)
    load_model(SklearnConfig(model_path=str(file), allow_pickle=True), NAMES)
    (line,) = caplog.records
    assert (line.levelname, line.name) == ("WARNING", "mdp.inference")
    said = (line.__dict__["model"], line.__dict__["saved_with"], line.__dict__["loaded_with"])
    assert said == (str(file), "1.4.2", sklearn.__version__)
    refused = refusal(str(file), allow_pickle=True, on_version_mismatch="refuse")
    assert refused == f"{file}: the model was saved with scikit-learn 1.4.2 and this is {sklearn.__version__}"


class Broken:
    """Cannot be unpickled, as a tree cannot whose nodes another version has laid out."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("no number",)


def test_a_model_that_another_version_has_saved_and_this_one_cannot_load_is_refused_with_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "old.pkl"
    with monkeypatch.context() as former:
        former.setattr(sklearn.base, "__version__", "1.4.2")
        file.write_bytes(pickle.dumps([classifier(), Broken()]))
    refused = refusal(str(file), allow_pickle=True)
    assert f"{file}: cannot load the model: ValueError" in refused
    assert refused.endswith(f"; it was saved with scikit-learn 1.4.2 and this is {sklearn.__version__}")


def test_the_version_that_is_here_is_not_remarked_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    evaluator(saved(tmp_path, classifier()), on_version_mismatch="refuse")
    assert caplog.records == []


def test_class_names_will_do_with_a_threshold(tmp_path: Path, rows: pl.DataFrame) -> None:
    named = classifier(target=UP.replace_strict({0: "down", 1: "up"}))
    assert set(evaluator(saved(tmp_path, named), threshold=0.5).evaluate(rows)["value"]) == {1.0}


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.file, "ran")


@pytest.mark.parametrize("suffix", [".pkl", ".pickle", ".joblib"])
def test_a_pickle_runs_only_when_it_is_allowed(tmp_path: Path, suffix: str) -> None:
    ran, file = tmp_path / "ran", tmp_path / f"model{suffix}"
    file.write_bytes(pickle.dumps(Payload(ran)))
    assert "allow_pickle: true" in refusal(str(file))
    assert not ran.exists()
    refusal(str(file), allow_pickle=True)
    assert ran.exists(), "the payload works, so its absence above means that it was not loaded"


def test_an_allowed_pickle_predicts_on_one_thread(tmp_path: Path, rows: pl.DataFrame) -> None:
    model = RandomForestRegressor(50, n_jobs=-1, random_state=0).fit(TRAINING, TARGET)
    joblib.dump(model, tmp_path / "forest.joblib")
    result = evaluator(str(tmp_path / "forest.joblib"), allow_pickle=True).evaluate(rows)
    assert result["value"].to_list() == model.set_params(n_jobs=1).predict(rows.select(NAMES)).tolist()


def test_untrusted_types_in_a_skops_file_are_refused_by_name(tmp_path: Path) -> None:
    steps = [("call", FunctionTransformer(joblib.dump)), ("scale", StandardScaler()), ("model", KMeans(2))]
    path = saved(tmp_path, Pipeline(steps))
    assert refusal(path) == (
        f"{path}: refused, because the model holds untrusted types: joblib.numpy_pickle.dump; "
        "if you trust the file, name them in inference.adapters.sklearn.trusted"
    )


def test_types_that_the_user_vouches_for_are_loaded_and_no_others(tmp_path: Path, rows: pl.DataFrame) -> None:
    forest = RandomForestRegressor(5, random_state=0).fit(TRAINING, TARGET)
    plain, sly = saved(tmp_path, forest), tmp_path / "sly.skops"
    assert "sklearn.tree._tree.Tree;" in refusal(plain)
    result = evaluator(plain, trusted=["sklearn.tree._tree.Tree"]).evaluate(rows)
    assert result["value"].to_list() == forest.predict(rows.select(NAMES)).tolist()
    skops.io.dump(Pipeline([("call", FunctionTransformer(joblib.dump)), ("model", forest)]), sly)
    said = refusal(str(sly), trusted=["sklearn.tree._tree.Tree"])
    assert "untrusted types: joblib.numpy_pickle.dump;" in said


def test_files_that_are_no_models_are_refused_in_one_line(tmp_path: Path) -> None:
    assert "inference.adapters.sklearn.model_path" in refusal("")
    assert refusal(str(tmp_path / "no.skops")).endswith("no.skops: the model file does not exist")
    for name, allow in (("text.skops", False), ("text.pkl", True), ("text.onnx", False)):
        (tmp_path / name).write_text("not a model", encoding="utf-8")
        assert refusal(str(tmp_path / name), allow_pickle=allow).startswith(str(tmp_path / name))
