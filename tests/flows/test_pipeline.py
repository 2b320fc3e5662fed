"""From records to signals: the chain agrees with the oracle however the log is cut, wherever it crashes or ends."""

from __future__ import annotations

import pickle
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from hypothesis import given
from hypothesis import strategies as st

from codec.decode import Decoder
from contracts.batch import MicroBatch
from features.bars.windows import END_OF_RUN_ROW, Windows
from features.rolling.feature_config import FeatureConfig
from features.rolling.rolling import RollingFeatures
from inference.engine import Inference
from inference.rules import Rule, RulesEvaluator, load_rules
from tests.event_logs import CONFIG, MS, ROWS, Row, cut, logs
from tests.flows.pipeline_records import FAULTS, StoredRecord, as_records, fetch
from tests.oracle import Database, Made, Oracle, OracleRule, parsed_meta

FEATURES = [
    FeatureConfig(name="mean_price", kind="vwap", horizon="30ms"),
    FeatureConfig(name="ret", kind="return", horizon="20ms"),
    FeatureConfig(name="vol", kind="volatility", horizon="50ms"),
    FeatureConfig(name="mom", kind="momentum", horizon="20ms"),
    FeatureConfig(name="strength", kind="rsi", horizon="30ms"),
    FeatureConfig(name="skew", kind="skewness", horizon="60ms"),
    FeatureConfig(name="kurt", kind="kurtosis", horizon="60ms"),
]
SPAN_NS = 60 * MS
RULES = [
    OracleRule("up", "ret > 0", lambda row: row["ret"] is not None and row["ret"] > 0),
    OracleRule("fell", "close < open", lambda row: row["close"] < row["open"], emit="edge", signal=-1.0),
    OracleRule("not_calm", "NOT vol < 0.01", lambda row: row["vol"] is not None and not row["vol"] < 0.01, emit="edge"),
    OracleRule("busy", "trades > 1 OR volume > 100", lambda row: row["trades"] > 1 or row["volume"] > 100),
    OracleRule(
        "some_x",
        "strength > 50 OR high >= 100",
        lambda row: (row["strength"] is not None and row["strength"] > 50) or row["high"] >= 100,
        emit="edge",
        symbols=("X", "Z|"),
    ),
    OracleRule("untraded", "vwap IS NULL", lambda row: row["vwap"] is None, emit="edge", score=1.0),
]

_FAULTS: st.SearchStrategy[str | None] = st.sampled_from([None] * 80 + list(FAULTS))
_AHEAD: st.SearchStrategy[int | None] = st.sampled_from(
    [None] * 40 + [-20, -21]
)  # behind by less than nothing: at the bound, and beyond it
_ENCODINGS: st.SearchStrategy[str] = st.sampled_from(["json", "json", "json", "msgpack", "arrow", "arrow"])


def _with_trouble(row: Row, fault: str | None, ahead: int | None, encoding: str) -> Row:
    behind = row["behind"] if ahead is None else ahead
    broken = fault if row["kind"] != "heartbeat" else None
    return {**row, "fault": broken, "behind": behind, "encoding": encoding}


_ROWS: st.SearchStrategy[Row] = st.builds(_with_trouble, ROWS, _FAULTS, _AHEAD, _ENCODINGS)
LOGS = logs(40, _ROWS).map(as_records)
LONG_LOGS = logs(40, _ROWS, least=20).map(as_records)
PLACES: st.SearchStrategy[int] = st.integers(0, 40)


@cache
def rules() -> tuple[Rule, ...]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rules.yaml")
        file.write_text(yaml.safe_dump([rule.config() for rule in RULES]))
        return load_rules(file, [feature.name for feature in FEATURES])


class Chain:
    """The steps of the market dataflow, one after the other, without Bytewax."""

    def __init__(self, state: bytes | None = None) -> None:
        self.decoder = Decoder(CONFIG.window_ns, CONFIG.max_future_ms * MS)
        self.windows = Windows(CONFIG)
        self.rest = (
            RollingFeatures(FEATURES, CONFIG.window_ns, CONFIG.amend_ns),
            Inference([RulesEvaluator(rules(), SPAN_NS)]),
        )
        if state is not None:
            restores = [machine.restore for machine in (self.windows, *self.rest)]
            for restore, saved in zip(restores, pickle.loads(state), strict=True):
                restore(saved)

    def step(self, records: Sequence[StoredRecord]) -> MicroBatch:
        return self._onwards(self.windows.step(self.decoder.decode(fetch(records))))

    def end(self) -> Made:
        """What the end of a bounded run adds."""
        last = self.windows.flush()
        return made(self._onwards(last)) if last else Made()

    def _onwards(self, batch: MicroBatch) -> MicroBatch:
        for machine in self.rest:
            batch = machine.step(batch)
        return batch

    def snapshot(self) -> list[object]:
        return [machine.snapshot() for machine in (self.windows, *self.rest)]


def made(*batches: MicroBatch) -> Made:
    result = Made()
    for batch in batches:
        features = [] if batch.features is None else batch.features.to_dicts()
        result.add(Made(batch.bars.to_dicts(), features, parsed_meta(batch.signals.to_dicts())))
    return result


def oracle() -> Oracle:
    return Oracle(CONFIG, FEATURES, RULES)


def taken(records: Sequence[StoredRecord], by: Oracle) -> dict[str, list[tuple[int, int]]]:
    """The places of the rows by their outcome."""
    places: dict[str, list[tuple[int, int]]] = {}
    for row in (row for record in records for row in record.rows):
        places.setdefault(by.take(row), []).append((row["offset"], row["row"]))
    return places


def places_of(frames: list[pl.DataFrame]) -> list[tuple[Any, ...]]:
    return pl.concat(frames).select("offset", "row").rows()


@given(LOGS, st.lists(PLACES, max_size=2))
def test_everything_is_the_oracles_however_the_log_is_cut(records: list[StoredRecord], places: list[int]) -> None:
    expected, chain = oracle(), Chain()
    outcomes = taken(records, expected)
    batches = [chain.step(part) for part in cut(records, places)]
    assert made(*batches) == expected.made
    assert {name: count for name, count in asdict(batches[-1].outcomes).items() if count} == Counter(expected.outcomes)
    assert places_of([batch.rejects for batch in batches]) == outcomes.get("rejected", [])
    assert places_of([batch.late for batch in batches]) == outcomes.get("late", [])


@given(LONG_LOGS, st.lists(PLACES, min_size=2, max_size=2), st.booleans())
def test_a_crash_leaves_no_trace(records: list[StoredRecord], places: list[int], written: bool) -> None:
    before, lost, after = cut(records, places)
    first = Chain()
    known = first.step(before)
    saved = first.snapshot()
    forgotten = [first.step(lost)] if written else []  # must not change what was saved
    again = Chain(pickle.dumps(saved)).step([*lost, *after])

    expected, stored, right = oracle(), Database(), Database()
    taken(records, expected)
    assert made(known, again) == expected.made
    assert again.outcomes.events + again.outcomes.heartbeat == len(expected.outcomes)
    for batch in (known, *forgotten, again):
        stored.write(made(batch))
    right.write(expected.made)
    assert stored == right


@given(LOGS, PLACES)
def test_the_end_of_a_bounded_run_is_not_the_end(records: list[StoredRecord], place: int) -> None:
    before, after = cut(records, [place])
    chain = Chain()
    known = chain.step(before)
    first_end = chain.end()
    state = pickle.dumps(chain.snapshot())
    second = Chain(state)
    rest = second.step(after)

    expected = oracle()
    taken(before, expected)
    assert first_end == expected.end({"offset": before[-1].offset() if before else 0, "row": END_OF_RUN_ROW})
    already = len(expected.made.bars)
    taken(after, expected)
    assert made(rest).bars == expected.made.bars[already:]
    assert made(rest).features == [row for row in expected.made.features if row["offset"] >= _first(after)]
    assert made(rest).signals == [row for row in expected.made.signals if row["offset"] >= _first(after)]
    if after:
        second_end = second.end()
        assert second_end == expected.end({"offset": after[-1].offset(), "row": END_OF_RUN_ROW})
        stored, undisturbed = Database(), Database()
        for part in (made(known), first_end, made(rest), second_end):
            stored.write(part)
        for part in (expected.made, second_end):
            undisturbed.write(part)
        assert stored.bars == undisturbed.bars


def _first(records: Sequence[StoredRecord]) -> int:
    return records[0].offset() if records else 2**63 - 1
