"""The code in docs/extending.md, block by block, in the order of the page."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import psycopg
import pytest
import yaml
from confluent_kafka import Consumer

from codec.decode import Decoder
from contracts.envelope import ENVELOPE_V1
from contracts.record import Fetch, Record, Records
from contracts.registry import open_envelope
from flows.config_file import load
from inference.config import InferenceConfig, InferenceConfigError, SklearnConfig
from inference.engine import build
from inference.evaluator import EVALUATED
from inference.model import ModelEvaluator
from inference.model_file import load_model
from inference.rules import load_rules
from mdp.cli import main
from tests.contracts.installed_types import installed
from tests.docs.page_blocks import PROJECT
from tests.docs.page_blocks import block as page_block

PAGE = (PROJECT / "docs" / "extending.md").read_text(encoding="utf-8")
SECONDS = 60.0
START = datetime(2025, 10, 24, 14, tzinfo=UTC)
FEATURES = ("momentum", "volatility", "rsi", "ret_1m")
# A change on a page has to be right, and need not be searched as the project's own code is.
HYPOTHESIS = """
from hypothesis import settings

settings.register_profile("page", max_examples=50, deadline=None)
settings.load_profile("page")
"""


block = partial(page_block, PAGE)


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
    with pytest.raises(InferenceConfigError, match="lookbak is not known; known: lookback"):
        build(InferenceConfig.model_validate(config), (), 1)


def test_the_rule_is_one_for_the_features_that_are_configured(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(block("Rules", "yaml"))
    assert [rule.name for rule in load_rules(file, load(overrides=[]).features.names)] == ["calm_breakout"]
    with pytest.raises(InferenceConfigError, match="unknown vwap_1m"):
        load_rules(file, ("momentum", "volatility"))


def stored_features(provider: str, symbol: str, interval: timedelta, minutes: int, seed: int) -> pl.DataFrame:
    """As `mdp store features` writes them, with gaps."""
    random = np.random.default_rng(seed)
    every = pl.datetime_range(START, START + timedelta(minutes=minutes), interval, eager=True, time_zone="UTC")
    times = every.filter(pl.Series(random.random(len(every)) < 0.9))
    columns = {"momentum": 0.01, "volatility": 0.001, "rsi": 20.0, "ret_1m": 0.01}
    rows = {name: random.normal(0.0, scale, len(times)) for name, scale in columns.items()}
    key = {"provider": provider, "symbol": symbol, "interval": f"{interval.seconds}s", "ts": times}
    return pl.DataFrame({**key, **rows}).with_columns(rsi=pl.when(pl.int_range(pl.len()) > 5).then("rsi"))


def test_the_model_learns_what_came_after_and_nothing_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parts = [
        stored_features(provider, symbol, timedelta(seconds=seconds), minutes=20, seed=seed)
        for seed, (provider, symbol, seconds) in enumerate(
            [("acme", "SPY", 2), ("acme", "QQQ", 2), ("feed", "SPY", 2), ("acme", "SPY", 10)]
        )
    ]
    pl.concat(parts).write_parquet("features.parquet")
    names = executed(block("A scikit-learn model", "python"))

    key = ("provider", "symbol", "interval")
    returns = {tuple(row[:4]): row[4] for row in pl.concat(parts).select(*key, "ts", "ret_1m").iter_rows()}
    learnt = {tuple(row[:4]): row[4] for row in names["known"].select(*key, "ts", "up").iter_rows()}
    after = {one: returns.get((*one[:3], one[3] + timedelta(minutes=1))) for one in returns}
    with_inputs = {tuple(row) for row in pl.concat(parts).drop_nulls("rsi").select(*key, "ts").iter_rows()}
    assert learnt == {one: int(value > 0) for one, value in after.items() if value is not None and one in with_inputs}
    assert names["past"]["ts"].max() + timedelta(minutes=1) < names["unseen"]["ts"].min()

    evaluator = ModelEvaluator(load_model(SklearnConfig(model_path="direction.skops"), FEATURES))
    row = parts[0].tail(1).with_columns(ts=0, close=1.0, offset=0, row=0)
    assert evaluator.evaluate(row)["name"].to_list() == ["direction"]


def test_what_the_producer_sends_is_accepted(kafka: str, topic: Callable[..., str]) -> None:
    names, name = executed(block("A producer", "python")), topic()
    names["send"](kafka, name, names["ticks"])
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": name, "auto.offset.reset": "earliest"})
    consumer.subscribe([name])
    records = consumer.consume(len(names["ticks"]), timeout=SECONDS)
    consumer.close()
    decoder = Decoder(window_ns=2_000_000_000, max_future_ns=5_000_000_000)
    fetch = Fetch(topic=name, partition=0, next_offset=5, records=Records.of(cast(list[Record], records)))
    batch = decoder.decode(fetch)
    assert batch.rejects.is_empty()
    assert batch.events["event_id"].n_unique() == len(names["ticks"])
    assert {record.key() for record in records} == {b"SPY"}


def test_the_source_gives_the_bars_of_its_file_once_however_often_it_is_read(tmp_path: Path, database: str) -> None:
    (tmp_path / "my_files.py").write_text(block("A source", "python"))
    ticks = executed(block("A producer", "python"))["ticks"]
    (tmp_path / "ticks.ndjson").write_text("\n".join([*map(json.dumps, ticks), "{", ""]))
    (tmp_path / "config.yaml").write_text(
        yaml.safe_dump({"bus": {"kafka": {"brokers": "127.0.0.1:1"}}, "store": {"url": database}})  # no Kafka is asked
    )
    command = re.sub(r"\bpython\b", sys.executable, block("A source", "sh"), count=1)
    environment = os.environ | {"MDP_CONFIG": "config.yaml", "PYTHONPATH": str(PROJECT)}
    rows = []
    for _ in range(2):
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        with psycopg.connect(database) as connection:
            rows.append(connection.execute("SELECT * FROM bars_ohlcv ORDER BY window_start").fetchall())
    assert rows[0] == rows[1]
    with psycopg.connect(database) as connection:
        bars = connection.execute("SELECT symbol, close, trades, source_topic FROM bars_ohlcv ORDER BY window_start")
        assert bars.fetchall() == [
            ("SPY", 671.0, 2, "ticks.ndjson"),
            ("SPY", 673.0, 2, "ticks.ndjson"),
            ("SPY", 674.0, 1, "ticks.ndjson"),
        ]


def test_the_message_type_is_known_to_every_command_and_takes_less_than_thirty_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    section = partial(block, "A message type of your own")
    assert len(section("python").splitlines()) < 30
    group, name, target = re.findall(r'"([^"]+)"\]\n(\w+) = "([^"]+)"', section("toml"))[0]
    (tmp_path / "liquidations.csv").write_text("symbol,side,price,size\nBTC-USD,sell,114250.1,0.52\nBTC-USD,hold,1,1\n")
    monkeypatch.chdir(tmp_path)
    said = []
    with installed(tmp_path, monkeypatch, "my_messages", section("python"), f"[{group}]\n{name} = {target}\n"):
        for line in section("sh").splitlines():
            with pytest.raises(SystemExit):
                main([*line.split()[1:], "--json"])
            said.append(json.loads(capsys.readouterr().out))
        envelope = {**ENVELOPE_V1.examples[0], "schema_ref": said[0]["$id"], "payload": said[0]["examples"][0]}
        assert open_envelope(json.dumps(envelope).encode())[1].size == 0.52
    assert (said[1]["contract"], said[1]["valid"], said[1]["invalid"]) == ("liquidations/v1", 1, 1)


def test_the_kind_of_feature_agrees_with_its_oracle(tmp_path: Path) -> None:
    for part in ("contracts", "native", "features", "tests/features", "tests/oracle_features.py"):
        copied = shutil.copytree if (PROJECT / part).is_dir() else shutil.copy
        (tmp_path / part).parent.mkdir(exist_ok=True)
        copied(PROJECT / part, tmp_path / part)
    outside = os.environ | {
        "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)
    }  # of whatever checkout the folder may be in
    applied = subprocess.run(
        ["git", "apply", "-"],
        input=block("A kind of feature", "diff"),
        cwd=tmp_path,
        env=outside,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (applied.returncode, applied.stderr) == (0, "")
    (tmp_path / "conftest.py").write_text(HYPOTHESIS)
    property_of_all_kinds = "tests/features/test_rolling.py::test_features_are_those_of_the_bars_known_at_each_close"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", property_of_all_kinds]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
