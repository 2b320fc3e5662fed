"""Signals say what made them, if they are asked to."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import skops.io
import yaml
from sklearn.linear_model import LinearRegression

from inference.config import InferenceConfig
from inference.engine import build
from inference.lineage import Lineage
from tests.inference.inference_frames import SECOND, batch, features

NAMES = ("momentum", "volatility", "rsi")
RULES = [
    {"name": "up", "condition": "momentum > 0.01 AND coalesce(rsi, 0) < 70", "signal": 1.0, "score": 0.5},
    {"name": "busy", "condition": "trades >= 2", "signal": 0.0, "score": 0.5, "symbols": ["SPY", "QQQ"]},
    {"name": "dear", "condition": "close > 1", "signal": 0.0, "score": 0.5, "emit": "edge"},
]
ROWS = [
    {"symbol": "SPY", "ts": 2 * SECOND, "momentum": 0.02, "rsi": 50.0, "trades": 2},
    {"symbol": "QQQ", "ts": 2 * SECOND, "momentum": 0.1 + 0.2, "trades": 3, "offset": 1},
    {"symbol": "SPY", "ts": 4 * SECOND, "momentum": 0.0, "rsi": 50.0, "trades": 2, "offset": 2},
]


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "my_rules.yaml"
    file.write_text(yaml.safe_dump(RULES))
    return file


def config(rules: Path, *, lineage: bool = True, **more: Any) -> InferenceConfig:
    return InferenceConfig.model_validate({"lineage": lineage, "adapters": {"rules": {"file": str(rules), **more}}})


def signals(config: InferenceConfig, rows: list[dict[str, Any]], cut: int = 0) -> pl.DataFrame:
    """Of all rows, evaluated at once or in two batches."""
    inference = build(config, NAMES, 60 * SECOND)
    frame = features(rows, NAMES)
    parts = [inference.step(batch(part)).signals for part in ((frame[:cut], frame[cut:]) if cut else (frame,))]
    return pl.concat(parts)


def lineages(frame: pl.DataFrame) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (symbol, name, json.loads(meta)["lineage"])
        for symbol, name, meta in frame.select("symbol", "name", "meta").rows()
    ]


def test_each_signal_names_its_file_and_the_values_that_its_condition_looked_at(rules: Path) -> None:
    told = lineages(signals(config(rules, version="v7"), ROWS))
    origin = {"source": "my_rules.yaml", "version": "v7", "sha256": hashlib.sha256(rules.read_bytes()).hexdigest()}
    assert told == [
        ("SPY", "up", {**origin, "features": {"momentum": 0.02, "rsi": 50.0}}),
        ("SPY", "busy", {**origin, "features": {"trades": 2}}),
        ("SPY", "dear", {**origin, "features": {"close": 100.0}}),
        ("QQQ", "up", {**origin, "features": {"momentum": 0.30000000000000004, "rsi": None}}),
        ("QQQ", "busy", {**origin, "features": {"trades": 3}}),
        ("QQQ", "dear", {**origin, "features": {"close": 100.0}}),
        ("SPY", "busy", {**origin, "features": {"trades": 2}}),
    ]


def test_it_does_not_depend_on_the_cut_of_batches(rules: Path) -> None:
    whole = signals(config(rules), ROWS)
    assert all(signals(config(rules), ROWS, cut).equals(whole) for cut in (1, 2))


def test_without_it_signals_are_what_they_were(rules: Path) -> None:
    without, told = (signals(config(rules, lineage=lineage), ROWS) for lineage in (False, True))
    assert InferenceConfig().lineage is False
    assert without["meta"].to_list() == ['{"window":"2s","price":100.0}'] * 7
    assert told.drop("meta").equals(without.drop("meta"))
    assert [json.loads(meta) | {"lineage": 0} for meta in without["meta"]] == [
        json.loads(meta) | {"lineage": 0} for meta in told["meta"]
    ]


def test_a_model_names_its_file_and_all_of_its_inputs(tmp_path: Path) -> None:
    inputs = pl.DataFrame({"rsi": [1.0, 2.0, 4.0], "close": [1.0, 3.0, 2.0]})
    file = tmp_path / "direction.skops"
    skops.io.dump(LinearRegression().fit(inputs, np.array([1.0, 2.0, 3.0])), file)
    adapters = {"sklearn": {"enabled": True, "model_path": str(file)}}
    found = lineages(signals(InferenceConfig.model_validate({"lineage": True, "adapters": adapters}), ROWS))
    assert [lineage["features"] for *_, lineage in found] == [{"rsi": 50.0, "close": 100.0}] * 2
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert {(one["source"], one["version"], one["sha256"]) for *_, one in found} == {("direction.skops", None, digest)}


def test_of_an_installed_evaluator_only_its_origin_is_known() -> None:
    frame = features(ROWS[:1], NAMES)
    made = pl.DataFrame({"name": ["over", "over"], "meta": [None, "{}"]})
    both = pl.concat([frame.select("provider", "symbol", "interval", "ts")] * 2).hstack(made)
    told = Lineage("my_package:breakout", "1.2").told(frame, both)
    assert told["meta"].to_list() == ['{"lineage":{"source":"my_package:breakout","version":"1.2","sha256":null}}'] * 2


def test_names_of_features_may_be_those_of_other_columns(rules: Path) -> None:
    names = ("value", "name", "meta")
    rules.write_text(yaml.safe_dump([{"name": "up", "condition": "value > 1", "signal": 1.0, "score": 0.5}]))
    inference = build(config(rules), names, 60 * SECOND)
    told = inference.step(batch(features([{"value": 2.0, "name": 1.0}], names))).signals
    assert lineages(told)[0][2]["features"] == {"value": 2.0}
