"""One pass says of every grace what a run with that grace would have made of the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.batch import MicroBatch, Outcomes
from contracts.frames import EVENTS
from features.bars.accumulators import BarIds
from features.bars.windows import Windows
from features.lateness.graces import Graces, readable
from features.lateness.measure import Lateness, Measured
from features.lateness.outliers import PartitionTally, outliers
from tests.event_logs import CONFIG, MS, Row, cut, logs

GRACES = [0, 1, 3, 9, 10, 20, 47]  # the longest is short enough for ids to be forgotten


def batch(log: Sequence[Row]) -> MicroBatch:
    events = pl.DataFrame([{name: row[name] for name in EVENTS} for row in log], schema=EVENTS)
    events = events.with_columns(record=pl.int_range(pl.len(), dtype=pl.Int64))
    next_offset = log[-1]["offset"] + 1 if log else 0
    return MicroBatch(topic="t", partition=0, next_offset=next_offset, events=events, payloads=[b"{}"] * len(log))


def measured(parts: Sequence[Sequence[Row]], graces: Sequence[int] = GRACES) -> Measured:
    found = Measured(Graces(list(graces), CONFIG.amend_ns))
    machine = Lateness(CONFIG, found)
    for part in parts:
        machine.take(batch(part), np.array([row["record_ts"] for row in part], np.int64))
    machine.end()
    return found


@given(logs(60), st.lists(st.integers(0, 60), max_size=4))
def test_the_outcomes_of_every_grace_are_those_of_windows_with_that_grace(log: list[Row], places: list[int]) -> None:
    found = measured(cut(log, places))
    for grace in GRACES:
        answer = Windows(CONFIG.model_copy(update={"allow_late_ms": grace})).step(batch(log))
        assert asdict(found.graces.outcomes(grace)) | {"heartbeat": found.heartbeats} == asdict(answer.outcomes)


@given(logs(60, least=1), st.floats(0, 1))
def test_the_smallest_grace_is_the_first_that_keeps_to_the_target(log: list[Row], target: float) -> None:
    found = measured([log]).graces
    every = [found.outcomes(grace) for grace in GRACES]
    fitting = [
        grace
        for grace, outcomes in zip(GRACES, every, strict=True)
        if outcomes.amending + outcomes.late <= target * outcomes.events
    ]
    assert found.smallest_ms(target) == (fitting[0] if fitting else None)
    assert found.misses().tolist() == [outcomes.amending + outcomes.late for outcomes in every]


@given(logs(60), st.lists(st.integers(0, 60), max_size=4))
def test_lateness_and_delay_are_the_same_however_the_log_is_cut(log: list[Row], places: list[int]) -> None:
    whole, parts = measured([log]), measured(cut(log, places))
    for name in ("lateness", "delay", "waits"):
        assert (getattr(whole, name)._counts == getattr(parts, name)._counts).all()
    by = ["provider", "symbol", "bucket"]
    assert whole.tallies[0].group_by(by).sum().sort(by).equals(parts.tallies[0].group_by(by).sum().sort(by))


def tick(src_ms: float, **changes: object) -> Row:
    row = dict.fromkeys(EVENTS) | {"provider": "a", "symbol": "X", "kind": "tick", "src_ts": int(src_ms * MS)}
    place = {"offset": int(src_ms * 10), "row": 0, "event_id": f"{src_ms} {changes}", "record_ts": int(src_ms * MS)}
    return row | place | dict.fromkeys("ohlcv", 1.0) | changes


def test_lateness_is_told_from_the_newest_event_before_and_delay_from_the_record() -> None:
    log = [
        tick(1_000),
        tick(1_004, event_id="first"),
        tick(1_001, record_ts=1_006 * MS),  # 3 ms behind, and 5 on its way
        tick(1_007, provider="b"),  # another provider's time is none of theirs
        tick(1_002, event_id="first", symbol="Y"),  # another symbol's id: 2 ms behind
        tick(1_009, event_id="first"),  # a duplicate, which is not measured and moves nothing
        tick(1_004, symbol="Z"),  # in order
    ]
    found = measured([log])
    assert [len(found.lateness), len(found.delay)] == [6, 6]
    assert found.lateness.largest == 3 * MS
    assert found.delay.largest == 5 * MS
    assert found.lateness.quantile(4 / 6) == 0
    assert found.lateness.quantile(5 / 6) == pytest.approx(2 * MS, rel=0.005)
    assert found.graces.outcomes(0) == Outcomes(accepted=6, duplicate=1)


def test_an_event_of_centuries_ago_is_late_and_not_of_the_future() -> None:
    found = measured(
        [[tick(1_761_314_400_000), tick(-9_190_000_000_000, symbol="Y", record_ts=1_761_314_400_000 * MS)]]
    )
    assert found.graces.outcomes(0) == found.graces.outcomes(47) == Outcomes(accepted=1, late=1)
    assert found.lateness.largest == found.delay.largest == 2**62


def test_a_bar_waits_for_the_record_that_closes_it() -> None:
    """Windows of 10 ms, and a grace of 3: a window is due 13 ms after it began."""
    found = measured([[tick(1_004), tick(1_012)], [tick(1_015, record_ts=1_019 * MS), tick(1_043), tick(1_044)]])
    assert len(found.waits) == 2
    assert found.waits.quantile(0.5) == pytest.approx(6 * MS, rel=0.005)  # due at 1013, there at 1019
    assert found.waits.largest == 20 * MS  # due at 1023, and after that nothing came until 1043


def test_what_is_late_or_repeated_more_than_others_stands_out() -> None:
    log = [tick(number, symbol=f"S{number % 4}") for number in range(2_000)]
    late = [tick(1_999 - 40, symbol="S1", seq=number, event_id=f"late {number}") for number in range(20)]
    again = [log[-1]] * 30
    few = [tick(0, symbol="few", event_id=f"{number}") for number in range(99)]
    found = measured([log, late, again, few])
    worst = outliers(found.tallies, ("provider", "symbol"), most=3)
    assert worst.lateness.select("symbol", "events").rows() == [("S1", 520)]
    assert worst.lateness["p99_ns"][0] == pytest.approx(40 * MS, rel=0.05)
    assert worst.late.rows() == [("a", "S1", 520, 20 / 520)]
    assert worst.duplicate.rows() == [("a", "S3", 530, 30 / 530)]
    by_provider = outliers(found.tallies, ("provider",), most=3)
    assert by_provider.late.rows() == [("a", 2_149, 119 / 2_149)]


def test_what_comes_again_too_late_does_not_make_a_symbol_look_punctual() -> None:
    """Under the configured grace it is late; under a longer one, whose ids are remembered, it is a duplicate."""
    log = [tick(number, symbol="XY"[number % 2]) for number in range(400)]
    behind = [tick(399 - 8, symbol="X", event_id=f"behind {number}") for number in range(5)]
    again = [tick(360, symbol="X")] * 500
    found = measured([log, behind, again])
    worst = outliers(found.tallies, ("symbol",), most=3)
    assert found.graces.outcomes(47).duplicate == 500
    assert worst.late.rows() == [("X", 705, 500 / 705)]
    assert worst.duplicate.is_empty()
    assert worst.lateness["p99_ns"].to_list() == [pytest.approx(8 * MS, rel=0.05)]


def test_counts_by_symbol_stay_right_when_they_are_summed_up_on_the_way() -> None:
    """Which they are every 200,000 rows, so that memory does not grow with the events."""
    tally, chance = PartitionTally(), np.random.default_rng(1)
    symbols = chance.integers(0, 50_000, (5, 100_000))
    for symbol in symbols:
        zeros = np.zeros_like(symbol)
        tally.add(BarIds(zeros, zeros, symbol), zeros, symbol % 2 == 0, symbol % 3 == 0)
    counts = tally.named(lambda feeds, numbers: (pl.Series(feeds).cast(pl.String), pl.Series(numbers).cast(pl.String)))
    found = counts.group_by(pl.col("symbol").cast(pl.Int64)).agg(pl.col("events", "late").sum()).sort("symbol")
    number, times = np.unique(symbols, return_counts=True)
    assert (found["symbol"].to_numpy() == number).all()
    assert (found["events"].to_numpy() == times).all()
    assert (found["late"].to_numpy() == np.where(number % 2 == 0, times, 0)).all()


def test_readable_graces_are_close_to_each_other() -> None:
    assert readable(4) == [0, 1, 2, 3, 4]
    graces = readable(10_000)
    assert graces[:4] + graces[10:13] + graces[-3:] == [0, 1, 2, 3, 10, 11, 12, 9_000, 9_500, 10_000]
    assert all(left < right <= 1.25 * left or right <= 10 for left, right in pairwise(graces))
