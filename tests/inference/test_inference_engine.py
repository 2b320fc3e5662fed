import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import skops.io
import yaml
from pydantic import ValidationError
from sklearn.linear_model import LinearRegression

from contracts import frames
from inference import engine
from inference.config import InferenceConfig, InferenceConfigError, select_adapter
from tests.inference.inference_frames import SECOND, WINDOW, batch, features

NAMES = ("momentum", "volatility", "rsi")
SPAN = 60 * SECOND
BREAKOUT = """
import polars as pl
from inference.evaluator import signals

class Breakout:
    name = "breakout"

    def __init__(self, options, features, span_ns):
        self.level, self.count = options["level"], 0
        assert (features, span_ns) == (("momentum", "volatility", "rsi"), 60_000_000_000)

    def evaluate(self, features):
        rows = features.filter(pl.col("close") > self.level)
        self.count += len(rows)
        return signals(rows, name=pl.lit("over"), value=pl.lit(self.count), score=pl.lit(1))

    def snapshot(self):
        return self.count

    def restore(self, state):
        self.count = state

class Failing(Breakout):
    name = "failing"

    def evaluate(self, features):
        raise ArithmeticError("never")

def other(options, features, span_ns):
    evaluator = Breakout(options, features, span_ns)
    evaluator.name = "misnamed"
    return evaluator
"""


@pytest.fixture
def breakout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that brings evaluators."""
    site = tmp_path / "site"
    metadata = site / "breakout_pkg-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "breakout_pkg.py").write_text(BREAKOUT, encoding="utf-8")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: breakout-pkg\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text(
        "[mdp.evaluators]\n"
        "breakout = breakout_pkg:Breakout\nfailing = breakout_pkg:Failing\n"
        "other = breakout_pkg:other\nbroken = breakout_pkg:absent\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "breakout_pkg", raising=False)


def configured(folder: Path, **adapters: Any) -> InferenceConfig:
    file = folder / "rules.yaml"
    rules = [
        {"name": "calm|low", "condition": "rsi < 30", "signal": 1, "score": 1},
        {"name": "turn", "condition": "rsi > 70", "signal": -1, "score": 1, "emit": "edge"},
    ]
    file.write_text(yaml.safe_dump(rules), encoding="utf-8")
    return InferenceConfig.model_validate({"adapters": {"rules": {"file": str(file)}, **adapters}})


def regressor(folder: Path) -> str:
    inputs = pl.DataFrame(np.eye(3), schema=list(NAMES))
    skops.io.dump(LinearRegression().fit(inputs, [1.0, 2.0, 3.0]), folder / "trend.skops")
    return str(folder / "trend.skops")


def test_signals_carry_their_adapter_key_cause_and_id(tmp_path: Path) -> None:
    inference = engine.build(configured(tmp_path), NAMES, SPAN)
    ts = 1_761_314_522_000_000_000
    frame = features([{"provider": "ib|kr\\x", "symbol": "A|\\B", "ts": ts, "rsi": 20.0, "offset": 5, "row": 3}])
    signals = inference.step(batch(frame)).signals
    assert signals.schema == frames.SIGNALS
    assert signals.row(0, named=True) == {
        "signal_id": r"ib\|kr\\x|A\|\\B|2s|2025-10-24T14:02:02.000000Z|calm\|low|rules",
        "provider": "ib|kr\\x",
        "symbol": "A|\\B",
        "interval": "2s",
        "ts": ts,
        "name": "calm|low",
        "value": 1.0,
        "score": 1.0,
        "adapter": "rules",
        "meta": '{"window":"2s","price":100.0}',
        "offset": 5,
        "row": 3,
    }


def test_ids_of_different_components_never_meet(tmp_path: Path) -> None:
    inference = engine.build(configured(tmp_path), NAMES, SPAN)
    pairs = [("a|b", "c"), ("a", "b|c"), ("a\\", "b"), ("a", "\\b"), ("a\\|b", "c"), ("a\\", "|b")]
    frame = features([{"provider": provider, "symbol": symbol, "rsi": 1.0, "ts": WINDOW} for provider, symbol in pairs])
    signals = inference.step(batch(frame)).signals
    assert signals["signal_id"].n_unique() == len(pairs)


@pytest.mark.usefixtures("breakout")
def test_an_evaluator_that_fails_costs_its_own_signals_only(tmp_path: Path) -> None:
    inference = engine.build(configured(tmp_path, failing={"level": 99}, breakout={"level": 99}), NAMES, SPAN)
    made = inference.step(batch(features([{"rsi": 20.0}]))).signals
    assert made["adapter"].to_list() == ["rules", "breakout"]


def test_a_batch_without_features_passes_untouched(tmp_path: Path) -> None:
    inference = engine.build(configured(tmp_path), NAMES, SPAN)
    for unchanged in (batch(None), batch(features([]))):
        assert inference.step(unchanged) is unchanged


@pytest.mark.usefixtures("breakout")
def test_signals_of_several_adapters_follow_the_rows_then_the_adapters(tmp_path: Path) -> None:
    config = configured(tmp_path, breakout={"level": 99}, sklearn={"enabled": True, "model_path": regressor(tmp_path)})
    inference = engine.build(config, NAMES, SPAN)
    usual = {"momentum": 0.0, "volatility": 0.0, "rsi": 20.0, "offset": 8}
    # One event closed three windows at once, so all rows have one cause.
    frame = features([{**usual, "symbol": "Z"}, {**usual, "symbol": "A", "close": 1.0}, {**usual, "symbol": "Z"}])
    signals = inference.step(batch(frame)).signals
    assert signals.select("symbol", "ts", "adapter").rows() == [
        ("Z", WINDOW, "rules"),
        ("Z", WINDOW, "sklearn"),
        ("Z", WINDOW, "breakout"),
        ("A", 2 * WINDOW, "rules"),
        ("A", 2 * WINDOW, "sklearn"),
        ("Z", 3 * WINDOW, "rules"),
        ("Z", 3 * WINDOW, "sklearn"),
        ("Z", 3 * WINDOW, "breakout"),
    ]


@pytest.mark.usefixtures("breakout")
def test_a_provisional_batch_is_answered_and_forgotten(tmp_path: Path) -> None:
    inference = engine.build(configured(tmp_path, breakout={"level": 99}), NAMES, SPAN)
    frame = features([{"rsi": 80.0}])
    first = inference.step(batch(frame, provisional=True)).signals
    again = inference.step(batch(frame)).signals
    assert first["name"].to_list() == ["turn", "over"]
    assert again.equals(first)
    assert inference.step(batch(frame)).signals["name"].to_list() == ["over"]


@pytest.mark.usefixtures("breakout")
def test_a_pickled_snapshot_continues_in_a_new_process_of_the_flow(tmp_path: Path) -> None:
    config = configured(tmp_path, breakout={"level": 99})
    one, two = engine.build(config, NAMES, SPAN), engine.build(config, NAMES, SPAN)
    one.step(batch(features([{"rsi": 80.0}])))
    two.restore(pickle.loads(pickle.dumps(one.snapshot())))
    signals = two.step(batch(features([{"rsi": 80.0, "ts": 2 * WINDOW}]))).signals
    assert signals.select("name", "value").rows() == [("over", 2.0)]
    assert signals.schema == frames.SIGNALS


def test_partitions_share_what_was_loaded_but_no_state(tmp_path: Path) -> None:
    config = configured(tmp_path)
    one = engine.build(config, NAMES, SPAN)
    (tmp_path / "rules.yaml").unlink()
    two = engine.build(config, NAMES, SPAN)
    frame = features([{"rsi": 80.0}])
    assert len(one.step(batch(frame)).signals) == len(two.step(batch(frame)).signals) == 1


@pytest.mark.usefixtures("breakout")
@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        ("typo", "inference.adapters.typo: no such adapter is installed; known: rules, sklearn, breakout"),
        ("broken", "inference.adapters.broken: cannot import breakout_pkg:absent: "),
        ("other", "inference.adapters.other: the evaluator has another name, 'misnamed'"),
    ],
)
def test_an_adapter_that_cannot_be_had_is_told(tmp_path: Path, adapter: str, message: str) -> None:
    config = configured(tmp_path, **{adapter: {"level": 1}})
    with pytest.raises(InferenceConfigError) as refused:
        engine.build(config, NAMES, SPAN)
    assert str(refused.value).startswith(message)


@pytest.mark.usefixtures("breakout")
def test_the_command_line_chooses_one_adapter_or_none(tmp_path: Path) -> None:
    config = configured(tmp_path, breakout={"level": 99}, sklearn={"model_path": regressor(tmp_path)})
    frame = features([{"momentum": 0.0, "volatility": 0.0, "rsi": 20.0}])

    def adapters(chosen: InferenceConfig) -> Sequence[str]:
        return engine.build(chosen, NAMES, SPAN).step(batch(frame)).signals["adapter"].to_list()

    assert adapters(config) == ["rules", "breakout"]
    for adapter in ("rules", "sklearn", "breakout"):
        assert adapters(select_adapter(config, adapter)) == [adapter]
    assert adapters(select_adapter(config, "none")) == []
    with pytest.raises(InferenceConfigError, match="no such adapter is installed"):
        adapters(select_adapter(config, "typo"))
    with pytest.raises(InferenceConfigError, match=r"inference\.adapters\.rules\.file"):
        select_adapter(InferenceConfig(), "rules")


@pytest.mark.parametrize(
    "adapters",
    [{"rules": {}}, {"rules": {"file": "a", "path": "b"}}, {"sklearn": {"threshold": "high"}}, {"mine": 3}],
)
def test_a_configuration_with_a_mistake_is_invalid(adapters: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError):
        InferenceConfig.model_validate({"adapters": adapters})


def test_without_a_model_scikit_learn_is_not_imported(tmp_path: Path) -> None:
    config = configured(tmp_path)
    code = f"""
import sys
from inference import engine
from inference.config import InferenceConfig
config = InferenceConfig.model_validate_json({config.model_dump_json()!r})
engine.build(config, {NAMES}, 1)
print(sorted({{"sklearn", "skops", "joblib", "bytewax"}} & set(sys.modules)))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert ran.stdout.strip() == "[]"
