"""The code in docs/extending.md, block by block, in the order of the page."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from confluent_kafka import Consumer

from contracts.decode import Decoder
from contracts.record import Fetch
from flows.config_file import load
from inference.config import InferenceConfig, InferenceConfigError, SklearnConfig
from inference.engine import build
from inference.evaluator import EVALUATED
from inference.model import ModelEvaluator, load_model
from inference.rules import load_rules

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
SECONDS = 60.0


def block(title: str, language: str, number: int = 0) -> str:
    """The `number`-th block of a language in the part of the page under a heading."""
    part = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return str(re.findall(rf"```{language}\n(.*?)```", part, re.DOTALL)[number])


def executed(*blocks: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "page"}
    for text in blocks:
        exec(compile(text, "docs/extending.md", "exec"), names)
    return names


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's evaluator as an installed package, with the entry point that the page announces."""
    (tmp_path / "my_evaluators.py").write_text(block("An evaluator", "python"))
    installed = tmp_path / "my_evaluators-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: my-evaluators\nVersion: 1.0\n")
    group, name, target = re.findall(r'"([^"]+)"\]\n(\w+) = "([^"]+)"', block("An evaluator", "toml"))[0]
    (installed / "entry_points.txt").write_text(f"[{group}]\n{name} = {target}\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("my_evaluators", None)


def test_the_evaluator_answers_row_by_row_as_it_does_for_all_at_once() -> None:
    names = executed(block("An evaluator", "python"), block("An evaluator", "python", 1))
    assert names["found"].schema == EVALUATED


@pytest.mark.usefixtures("package")
def test_the_evaluator_is_found_by_its_entry_point_and_configured_as_shown() -> None:
    config = yaml.safe_load(block("An evaluator", "yaml"))["inference"]
    assert list(build(InferenceConfig.model_validate(config), (), 1).snapshot()) == ["breakout"]
    config["adapters"]["breakout"]["lookbak"] = "1m"
    with pytest.raises(ValueError, match="lookbak is not known; there is lookback"):
        build(InferenceConfig.model_validate(config), (), 1)


def test_the_rule_is_one_for_the_features_that_are_configured(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(block("Rules", "yaml"))
    assert [rule.name for rule in load_rules(file, load(overrides=[]).features.names)] == ["calm_breakout"]
    with pytest.raises(InferenceConfigError, match="unknown vwap_1m"):
        load_rules(file, ("momentum", "volatility"))


def test_the_model_that_the_page_fits_makes_signals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(3)
    columns = {"momentum": 0.01, "volatility": 0.001, "rsi": 20.0, "ret_1m": 0.01}
    history = pl.DataFrame({name: random.normal(0.0, scale, 400) for name, scale in columns.items()})
    history.write_csv("features.csv")
    executed(block("A scikit-learn model", "python"))
    evaluator = ModelEvaluator(load_model(SklearnConfig(model_path="direction.skops"), tuple(columns)))
    row = history.head(1).with_columns(
        provider=pl.lit("acme"), symbol=pl.lit("SPY"), interval=pl.lit("2s"), ts=0, close=1.0, offset=0, row=0
    )
    assert evaluator.evaluate(row)["name"].to_list() == ["direction"]


def test_what_the_producer_sends_is_accepted(kafka: str, topic: Callable[..., str]) -> None:
    names, name = executed(block("A producer", "python")), topic()
    names["send"](kafka, name, names["ticks"])
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": name, "auto.offset.reset": "earliest"})
    consumer.subscribe([name])
    records = consumer.consume(len(names["ticks"]), timeout=SECONDS)
    consumer.close()
    decoder = Decoder(window_ns=2_000_000_000, max_future_ns=5_000_000_000)
    batch = decoder.decode(Fetch(topic=name, partition=0, next_offset=5, records=records))  # type: ignore[arg-type]
    assert batch.rejects.is_empty()
    assert batch.events["event_id"].n_unique() == len(names["ticks"])
    assert {record.key() for record in records} == {b"SPY"}
