"""Symbols that come and go leave nothing behind: the state after a day is as large as after the first hours."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import numpy as np
import polars as pl

from contracts.batch import MicroBatch
from contracts.frames import EVENTS
from features.bars.window_config import WindowConfig
from features.bars.windows import Windows
from features.rolling.feature_config import FeatureConfig
from features.rolling.rolling import RollingFeatures
from inference.conditions import compile_condition
from inference.engine import Inference
from inference.rules import Rule, RulesEvaluator
from tests.features.rolling_logs import KINDS

WINDOW = 300_000_000_000
T0 = 1_761_314_400_000_000_000 // WINDOW * WINDOW
SYMBOLS = 50_000
AT_ONCE = 600  # symbols that trade in a window; each for some windows, and then not for the rest of the day
HOUR = 12  # windows
CONFIG = WindowConfig(window_ms=300_000)
FEATURES = [FeatureConfig(name=f"{kind}_50m", kind=kind, horizon="50m") for kind in KINDS]
SPAN = 20 * WINDOW


def day() -> Iterator[MicroBatch]:
    """One batch of two ticks per trading symbol for each window of the day."""
    chance = np.random.default_rng(1)
    step = SYMBOLS // (24 * HOUR)
    for window in range(24 * HOUR):
        trading = np.repeat(np.arange(window * step, window * step + AT_ONCE) % SYMBOLS, 2)
        count = trading.size
        frame = pl.DataFrame(
            {
                "record": np.arange(count),
                "offset": window * count + np.arange(count),
                "row": np.zeros(count, np.int64),
                "symbol": pl.Series(trading).cast(pl.String),
                "src_ts": T0 + window * WINDOW + np.sort(chance.integers(0, WINDOW, count)),
                "c": 100 + chance.normal(0, 1, count),
                "v": chance.integers(1, 100, count).astype(float),
                "seq": window * count + np.arange(count),
            }
        ).with_columns(
            provider=pl.lit("feed"),
            kind=pl.lit("tick"),
            event_id=pl.col("seq").cast(pl.String),
            side=pl.lit(None),
            **{name: pl.lit(None, pl.Float64) for name in "ohl"},
        )
        events = frame.select(EVENTS.names()).cast(EVENTS)
        yield MicroBatch(topic="events", partition=0, next_offset=(window + 1) * count, events=events)


def test_the_state_after_a_day_of_symbols_that_come_and_go_is_as_large_as_after_an_hour() -> None:
    windows, rolling = Windows(CONFIG), RollingFeatures(FEATURES, CONFIG.window_ns, CONFIG.amend_ns)
    rule = Rule("up", compile_condition("return_50m > 0", [f.name for f in FEATURES]), 1.0, 0.5, True)
    inference = Inference([RulesEvaluator([rule], SPAN)])
    sizes, seen = [], set()
    for batch in day():
        made = inference.step(rolling.step(windows.step(batch)))
        seen |= set(made.bars["symbol"])
        sizes.append([len(pickle.dumps(machine.snapshot())) for machine in (windows, rolling, inference)])
    hours = np.array(sizes).reshape(24, HOUR, 3).max(axis=1)
    assert len(seen) > 0.95 * SYMBOLS
    assert (hours[-1] <= 1.1 * hours[2]).all(), hours
