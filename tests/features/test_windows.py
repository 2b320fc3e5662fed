"""The windows agree with the oracle for every log, every way of cutting it into batches, and every crash point."""

from __future__ import annotations

import pickle
from dataclasses import asdict
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from contracts.batch import MicroBatch, Quiet
from contracts.frames import BARS, EVENTS
from features.window_config import WindowConfig
from features.windows import END_OF_RUN_ROW, Windows
from tests.oracle_windows import Row, WindowOracle

MS = 1_000_000
CONFIG = WindowConfig(window_ms=10, allow_late_ms=3, amend_ms=15, flush_timeout_ms=10)
NUMBERS = st.floats(-1e12, 1e12) | st.sampled_from([0.0, 0.1, 0.2, 0.3, 1e-9, 5e-10, 100.0])


@st.composite
def rows(draw: st.DrawFn) -> Row:
    kind = draw(st.sampled_from(["tick"] * 8 + ["bar", "heartbeat"]))
    o, c = draw(NUMBERS), draw(NUMBERS)
    low, high = sorted((o, c))
    return {
        "kind": kind,
        "provider": draw(st.sampled_from(["a", "a", "b"])),
        "symbol": draw(st.sampled_from(["X", "Y", "Z|"])),
        "jump": draw(st.sampled_from([0, 0, 1, 2, 5, 12, 40])),
        "behind": draw(st.sampled_from([0, 0, 0, 1, 4, 9, 14, 27, 60])),
        "seq": draw(st.none() | st.integers(0, 3)),
        "event_id": draw(st.integers(0, 25).map(str)),
        "v": draw(NUMBERS.map(abs)),
        "o": o,
        "h": high,
        "l": low,
        "c": c,
    }


def as_log(drawn: list[Row], start: int = 1_700_000_000_000) -> list[Row]:
    """Rows with offsets and times: the market moves on by `jump` ms, the event lies `behind` ms behind it."""
    log, now = [], start
    for offset, row in enumerate(drawn):
        now += row["jump"]
        log.append({**row, "offset": 3 * offset, "row": 0, "record": 0, "src_ts": (now - row["behind"]) * MS})
    return log


LOGS = st.lists(rows(), max_size=80).map(as_log)


def batch(log: list[Row], number: int = 0) -> MicroBatch:
    events = pl.DataFrame([{name: row[name] for name in EVENTS} for row in log], schema=EVENTS)
    events = events.with_columns(record=pl.int_range(pl.len(), dtype=pl.Int64))
    next_offset = log[-1]["offset"] + 1 if log else number
    return MicroBatch(topic="t", partition=0, next_offset=next_offset, events=events, payloads=[b"{}"] * len(log))


def cut(log: list[Row], places: list[int]) -> list[list[Row]]:
    edges = [0, *sorted({place % (len(log) + 1) for place in places}), len(log)]
    return [log[start:end] for start, end in pairwise(edges)]


def expected(log: list[Row]) -> WindowOracle:
    oracle = WindowOracle(CONFIG)
    for row in log:
        oracle.take(row)
    return oracle


def assert_same_bits(left: pl.DataFrame, right: pl.DataFrame) -> None:
    assert_frame_equal(left, right, check_exact=True)


def frame(bars: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(bars, schema=BARS)


@given(LOGS, st.lists(st.integers(0, 80), max_size=10))
def test_bars_and_outcomes_are_the_oracles_however_the_log_is_cut(log: list[Row], places: list[int]) -> None:
    oracle, windows = expected(log), Windows(CONFIG)
    answers = [windows.step(batch(part)) for part in cut(log, places)]
    assert_same_bits(pl.concat([answer.bars for answer in answers]), frame(oracle.emitted))
    counts = asdict(answers[-1].outcomes)
    assert {name: counts[name] for name in oracle.outcomes} == oracle.outcomes
    assert sum(answer.late.height for answer in answers) == oracle.outcomes["late"]


@given(LOGS, st.integers(0, 80), st.integers(0, 80))
def test_a_crash_at_any_point_changes_nothing(log: list[Row], saved: int, crashed: int) -> None:
    saved, crashed = sorted((saved % (len(log) + 1), crashed % (len(log) + 1)))
    first = Windows(CONFIG)
    first.step(batch(log[:saved]))
    state = pickle.dumps(first.snapshot())
    first.step(batch(log[saved:crashed]))
    second = Windows(CONFIG)
    second.restore(pickle.loads(state))
    again = second.step(batch(log[saved:]))
    whole = Windows(CONFIG).step(batch(log))
    assert_same_bits(again.bars, whole.bars.filter(pl.col("offset") >= 3 * saved))
    assert not log or again.outcomes == whole.outcomes


@given(LOGS)
def test_the_end_of_a_bounded_run_shows_open_windows_and_keeps_nothing_of_it(log: list[Row]) -> None:
    windows = Windows(CONFIG)
    windows.step(batch(log))
    end = windows.flush()
    cause = {"offset": log[-1]["offset"] if log else 0, "row": END_OF_RUN_ROW}
    open_bars = expected(log).still_open(cause)
    assert_same_bits(end.bars if end else frame([]), frame(open_bars))
    more = as_log([{**row, "jump": 30} for row in log], start=1_700_000_100_000)
    undisturbed = Windows(CONFIG)
    undisturbed.step(batch(log))
    assert_same_bits(windows.step(batch(more)).bars, undisturbed.step(batch(more)).bars)


def tick(src_ms: float, **changes: object) -> Row:
    place = {"offset": int(src_ms * 10), "row": 0, "record": 0, "event_id": f"{src_ms}", "seq": None}
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
