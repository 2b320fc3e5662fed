"""The same log in batches of 1, 7,777 and 30,000 records gives the same bits in every column of what comes out."""

from __future__ import annotations

from dataclasses import asdict
from itertools import count, pairwise

import numpy as np
import polars as pl
import pytest

from codec.decode import Decoder
from codec.encode import encode_json
from contracts.batch import MicroBatch, Outcomes
from features.bars.window_config import WindowConfig
from features.bars.windows import Windows
from features.rolling.feature_config import FeatureConfig
from features.rolling.rolling import RollingFeatures
from inference.conditions import compile_condition
from inference.engine import Inference
from inference.rules import Rule, RulesEvaluator
from tests.features.rolling_logs import KINDS, bits
from tests.flows.pipeline_records import StoredRecord, fetch

MS = 1_000_000
T0 = 1_761_314_400_000 * MS
CONFIG = WindowConfig(window_ms=100, allow_late_ms=50, amend_ms=400)
FEATURES = [FeatureConfig(name=f"{kind}_1s", kind=kind, horizon="1s") for kind in KINDS]
CONDITIONS = {
    "up": ("return_1s > 0.001", False),
    "turns": ("momentum_1s > 0", True),
    "strong": ("rsi_1s > 60 OR skewness_1s > 0.5", True),
    "above": ("close > vwap_1s", False),
    "wild": ("volatility_1s > 0.001 AND kurtosis_1s > 0", False),
}
SPAN_NS = 2_000 * MS


def synthetic_log(events: int, seconds: int, symbols: int) -> list[StoredRecord]:
    """Two feeds: 10 % out of order, some of it so much that it is amending or late, 3 % duplicates, 1 % bad."""
    chance = np.random.default_rng(20251024)
    now = T0 + np.arange(events) * 1_000 * seconds // events * MS
    behind = np.where(chance.random(events) < 0.1, chance.exponential(150, events), 0.0) * MS
    feed, symbol = chance.integers(0, 2, events), chance.integers(0, symbols, events)
    steps = np.exp(np.cumsum(chance.normal(0, 1e-4, events)))
    price = (symbol - 2) * 50 * steps + chance.normal(0, 0.01, events)  # negative, around zero, positive
    volume = chance.integers(0, 1_000, events) * chance.random(events)
    is_bad = chance.random(events) < 0.01
    source = np.where(
        chance.random(events) < 0.03,
        np.maximum(np.arange(events) - chance.integers(1, 300, events), 0),
        np.arange(events),
    )
    frame = pl.DataFrame(
        {
            "provider": pl.Series(["alpha", "beta"]).gather(feed),
            "symbol": pl.Series([f"S{number}" for number in range(symbols)]).gather(symbol),
            "kind": pl.Series(["tick"]).new_from_index(0, events),
            "src_ts": now - behind.astype(np.int64),
            "c": price,
            "v": np.where(is_bad, -1.0, volume),
            "seq": pl.Series(np.arange(events)).set(pl.Series(chance.random(events) < 0.3), None),
            "event_id": pl.Series([f"e{number}" for number in range(events)]),
        }
    )[source]
    texts = encode_json(frame).cast(pl.Binary)
    return [
        StoredRecord(offset, text, milliseconds)
        for offset, text, milliseconds in zip(count(), texts, (now // MS).tolist(), strict=False)
    ]


def run(log: list[StoredRecord], batch_size: int) -> tuple[dict[str, pl.DataFrame], Outcomes]:
    rules = [
        Rule(name, compile_condition(condition, [*(f.name for f in FEATURES), "close"]), 1.0, 0.5, on_edge)
        for name, (condition, on_edge) in CONDITIONS.items()
    ]
    decoder = Decoder(CONFIG.window_ns, CONFIG.max_future_ms * MS)
    windows, rolling = Windows(CONFIG), RollingFeatures(FEATURES, CONFIG.window_ns, CONFIG.amend_ns)
    inference = Inference([RulesEvaluator(rules, SPAN_NS)])

    def onwards(batch: MicroBatch) -> MicroBatch:
        return inference.step(rolling.step(batch))

    edges = [*range(0, len(log), batch_size), len(log)]
    answers = [onwards(windows.step(decoder.decode(fetch(log[start:end])))) for start, end in pairwise(edges)]
    outcomes = answers[-1].outcomes
    end = windows.flush()
    answers += [onwards(end)] if end else []
    return {
        "bars": pl.concat([answer.bars for answer in answers]),
        "features": pl.concat([answer.features for answer in answers if answer.features is not None]),
        "signals": pl.concat([answer.signals for answer in answers]),
        "late": pl.concat([answer.late for answer in answers]),
        "rejects": pl.concat([answer.rejects for answer in answers]),
    }, outcomes


@pytest.mark.parametrize(("events", "seconds", "symbols", "size"), [(65_000, 7, 40, 7_777), (1_500, 3, 6, 1)])
def test_the_size_of_the_batches_changes_no_bit(events: int, seconds: int, symbols: int, size: int) -> None:
    log = synthetic_log(events, seconds, symbols)
    (large, outcomes), (small, same) = run(log, 30_000), run(log, size)
    assert outcomes == same
    assert all(asdict(outcomes)[name] > events / 1_000 for name in asdict(outcomes) if name != "heartbeat")
    assert all(large[name].height for name in large)
    for name in large:
        assert large[name].schema == small[name].schema
        assert bits(large[name]) == bits(small[name]), name
    assert (large["bars"]["revision"] > 1).any()
    assert all(large["features"][feature.name].null_count() < large["features"].height for feature in FEATURES)
    assert set(large["signals"]["name"]) == set(CONDITIONS)
