"""The windows agree with the oracle for every log, every way of cutting it into batches, and every crash point."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import asdict

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.batch import MicroBatch, Quiet
from contracts.frames import BARS, EVENTS
from features.bars.windows import END_OF_RUN_ROW, Windows
from tests.event_logs import CONFIG, MS, SIDED_ROWS, Row, cut, logs
from tests.features.rolling_logs import bits
from tests.oracle_windows import WindowOracle

LOGS = logs(60, SIDED_ROWS)


def batch(log: Sequence[Row], number: int = 0) -> MicroBatch:
    events = pl.DataFrame([{name: row[name] for name in EVENTS} for row in log], schema=EVENTS)
    events = events.with_columns(record=pl.int_range(pl.len(), dtype=pl.Int64))
    next_offset = log[-1]["offset"] + 1 if log else number
    return MicroBatch(topic="t", partition=0, next_offset=next_offset, events=events, payloads=[b"{}"] * len(log))


def expected(log: list[Row]) -> WindowOracle:
    oracle = WindowOracle(CONFIG)
    for row in log:
        oracle.take(row)
    return oracle


def assert_same_bits(left: pl.DataFrame, right: pl.DataFrame) -> None:
    assert left.schema == right.schema
    assert bits(left) == bits(right)


def frame(bars: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(bars, schema=BARS)


@given(LOGS, st.lists(st.integers(0, 60), max_size=4))
def test_bars_and_outcomes_are_the_oracles_however_the_log_is_cut(log: list[Row], places: list[int]) -> None:
    oracle, windows = expected(log), Windows(CONFIG)
    answers = [windows.step(batch(part)) for part in cut(log, places)]
    assert_same_bits(pl.concat([answer.bars for answer in answers]), frame(oracle.emitted))
    counts = asdict(answers[-1].outcomes)
    assert {name: counts[name] for name in oracle.outcomes} == oracle.outcomes
    assert sum(answer.late.height for answer in answers) == oracle.outcomes["late"]


@given(logs(60, SIDED_ROWS, least=20), st.lists(st.integers(0, 60), min_size=2, max_size=2))
def test_a_crash_at_any_point_changes_nothing(log: list[Row], places: list[int]) -> None:
    before, lost, after = cut(log, places)
    oracle, first, second = expected(log), Windows(CONFIG), Windows(CONFIG)
    answers = [first.step(batch(before))]
    state = first.snapshot()
    first.step(batch(lost))  # must not change what the snapshot holds
    second.restore(pickle.loads(pickle.dumps(state)))
    answers.append(second.step(batch([*lost, *after])))
    assert_same_bits(pl.concat([answer.bars for answer in answers]), frame(oracle.emitted))
    counts = asdict(answers[-1].outcomes)
    assert {name: counts[name] for name in oracle.outcomes} == oracle.outcomes


@given(LOGS)
def test_the_end_of_a_bounded_run_shows_open_windows_and_keeps_nothing_of_it(log: list[Row]) -> None:
    windows = Windows(CONFIG)
    windows.step(batch(log))
    before = pickle.dumps(windows.snapshot())
    end = windows.flush()
    cause = {"offset": log[-1]["offset"] if log else 0, "row": END_OF_RUN_ROW}
    assert_same_bits(end.bars if end else frame([]), frame(expected(log).still_open(cause)))
    assert pickle.dumps(windows.snapshot()) == before


def tick(src_ms: float, **changes: object) -> Row:
    place = {"offset": int(src_ms * 10), "row": 0, "record": 0, "event_id": f"{src_ms}", "seq": None, "side": None}
    prices = dict.fromkeys("ohlc", 1.0) | {"v": 1.0}
    return {"provider": "a", "symbol": "X", "kind": "tick", "src_ts": int(src_ms * MS), **place, **prices, **changes}


@pytest.mark.parametrize(
    ("src_ms", "outcome"),
    [(1_020, "accepted"), (1_012, "accepted"), (1_009, "amending"), (990, "amending"), (989, "late")],
)
def test_an_event_is_judged_by_its_window_and_not_by_its_age(src_ms: int, outcome: str) -> None:
    windows = Windows(CONFIG)
    windows.step(batch([tick(1_018)]))  # watermark 1015: [1000, 1010) is closed, [1010, 1020) open, [980, 990) too old
    answer = windows.step(batch([tick(src_ms, offset=99_999)]))
    before = 1 if outcome == "accepted" else 0
    assert getattr(answer.outcomes, outcome) == before + 1


def test_a_window_closes_for_quiet_symbols_too_and_for_no_other_provider() -> None:
    windows = Windows(CONFIG)
    answer = windows.step(
        batch([tick(1_000), tick(1_001, symbol="Y"), tick(1_002, provider="b"), tick(1_013, symbol="Z")])
    )
    assert answer.bars.select("provider", "symbol").rows() == [("a", "X"), ("a", "Y")]


def test_memory_is_bounded_by_event_time() -> None:
    windows = Windows(CONFIG)
    sizes = []
    for second in range(50):
        windows.step(batch([tick(second * 1_000 + i / 8) for i in range(1_000)]))
        state = windows.snapshot()
        sizes.append(len(pickle.dumps(state)))
    assert sizes[-1] < 1.5 * sizes[5]


def test_silence_asks_for_a_heartbeat_that_closes_the_open_windows() -> None:
    windows = Windows(CONFIG)
    windows.step(batch([tick(1_001)]))
    quiet = MicroBatch(topic="t", partition=0, next_offset=20_000, quiet=Quiet(since=100 * MS, until=109 * MS))
    assert windows.step(quiet).heartbeats.is_empty()  # shorter than flush_timeout_ms
    longer = MicroBatch(topic="t", partition=0, next_offset=20_000, quiet=Quiet(since=100 * MS, until=120 * MS))
    heartbeats = windows.step(longer).heartbeats
    assert heartbeats.rows() == [("a", 1_021 * MS)]
    beat = tick(1_021, kind="heartbeat", offset=20_000)
    assert windows.step(batch([beat])).bars.height == 1
    assert windows.step(longer).heartbeats.is_empty()  # no open windows, no heartbeats


def leaps(log: Sequence[Row]) -> dict[str, int]:
    """The longest way of each provider's newest time from one event to the next, if none may be so far ahead."""
    oracle, longest = WindowOracle(CONFIG), dict[str, int]()
    for row in log:
        provider, time = str(row["provider"]), int(row["src_ts"])
        before = oracle.newest.get(provider, time)
        oracle.take(row)
        leap = oracle.newest.get(provider, before) - before
        if row["kind"] != "heartbeat" and leap > CONFIG.max_future_ms * MS:
            longest[provider] = max(longest.get(provider, 0), leap)
    return longest


@given(logs(60), st.lists(st.integers(0, 60), max_size=4))
def test_leaps_of_a_watermark_are_told_however_the_log_is_cut(log: list[Row], places: list[int]) -> None:
    windows, told = Windows(CONFIG), dict[str, int]()
    for part in cut(log, places):
        for provider, leap in windows.step(batch(part)).leaps.items():
            told[provider] = max(told.get(provider, 0), leap)
    assert told == leaps(log)
