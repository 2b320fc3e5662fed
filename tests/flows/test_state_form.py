"""What is saved outlives the classes and the libraries that it was made with."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import skops.io
import yaml
from sklearn.linear_model import LogisticRegression

from contracts.batch import MicroBatch
from contracts.frames import EVENTS
from flows import steps
from flows.chain import Chain
from flows.config_file import load
from flows.settings import Settings
from flows.spec import FLOWS, FlowSpec
from tests.plain_pickle import plain

SYMBOLS = ("A", "a symbol that is longer than twelve bytes", "€")
SECOND = 1_000_000_000
START = 1_761_314_400 * SECOND


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """With every kind of state that there is: all steps, rules on an edge, a model behind a breaker."""
    rule = {"name": "traded", "condition": "trades > 0", "signal": 1.0, "score": 1.0, "emit": "edge"}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump([rule]))
    training = pl.DataFrame({"close": [1.0, 2.0, 3.0, 4.0]})
    skops.io.dump(LogisticRegression().fit(training, [0, 0, 1, 1]), tmp_path / "model.skops")
    return load(
        overrides=[
            f"inference.adapters.rules.file={tmp_path}/rules.yaml",
            "inference.adapters.sklearn.enabled=true",
            f"inference.adapters.sklearn.model_path={tmp_path}/model.skops",
        ]
    )


def trades(number: int, seconds: int = 6) -> MicroBatch:
    """A batch of one trade of each symbol in each second; every eighth comes twice, and some amend a bar."""
    count = seconds * len(SYMBOLS)
    offsets = number * count + np.arange(count)
    second = number * seconds + np.arange(count) // len(SYMBOLS)
    columns = {
        "record": np.arange(count),
        "offset": offsets,
        "row": np.zeros(count, np.int64),
        "provider": ["feed"] * count,
        "symbol": list(SYMBOLS) * seconds,
        "kind": ["tick"] * count,
        "event_id": (offsets - (offsets % 8 == 7)).astype(str),
        "src_ts": START + second * SECOND - np.where(offsets % 7 == 6, 4 * SECOND, 0),
        "c": 100.0 + offsets % 11,
        "v": 1.0 + offsets % 3,
    }
    events = pl.DataFrame({name: columns.get(name, [None] * count) for name in EVENTS}, schema=EVENTS)
    return MicroBatch(topic="events", partition=0, next_offset=int(offsets[-1]) + 1, events=events)


def bars(number: int) -> MicroBatch:
    """The bars of such batches, as the flow that reads them finds them."""
    windows = steps.windows(load(overrides=[]))
    return [windows.run(trades(before)) for before in range(number + 1)][-1]


def results(through: Chain, batch: MicroBatch) -> list[Any]:
    (result,), _ = through.on_batch([batch])
    features = None if result.features is None else result.features.to_dicts()
    return [result.bars.to_dicts(), features, result.signals.to_dicts(), result.outcomes]


def _made_by(flow: FlowSpec) -> list[int]:
    """Which of the results of a batch the flow makes: bars that were read do not count."""
    return [*([0] if flow.closes_windows else []), *([1, 2] if "rolling" in flow.steps else [])]


@pytest.mark.parametrize("flow", FLOWS.values(), ids=list(FLOWS))
def test_saved_state_names_no_class_and_goes_on_to_the_same_bits(settings: Settings, flow: FlowSpec) -> None:
    made, build = trades if flow.closes_windows else bars, steps.chained(settings, flow)
    running = build(None)
    before = [results(running, made(number)) for number in range(4)]
    assert all(any(answer[place] for answer in before) for place in _made_by(flow))
    saved = pickle.dumps(running.snapshot())
    resumed = build(plain(saved))
    for number in range(4, 8):
        assert results(resumed, made(number)) == results(running, made(number))
