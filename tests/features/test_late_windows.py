"""Repaired bars are those of a plain recomputation of the whole log in which no event is ever too late."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from contracts.frames import BARS, CAUSE
from features.bars.late_repair import WANTED, LateRepair
from tests.event_logs import CONFIG, MS, Row, cut, logs
from tests.features.test_windows import assert_same_bits, batch, frame, tick
from tests.oracle_windows import WindowOracle

FOR_EVER = CONFIG.model_copy(update={"amend_ms": 10**9})
KEYS = ["provider", "symbol", "window_start"]


def late_windows(log: list[Row]) -> dict[tuple[str, str, int], int]:
    """The windows that an event came too late for, and the offset of the last one."""
    oracle, last = WindowOracle(CONFIG), {}
    for row in log:
        if oracle.take(row) == "late":
            last[row["provider"], row["symbol"], row["src_ts"] // CONFIG.window_ns * CONFIG.window_ns] = row["offset"]
    return last


def recomputed(log: list[Row], wanted: dict[tuple[str, str, int], int]) -> pl.DataFrame:
    """The bars of these windows after all their events, of those that any event has amended."""
    oracle = WindowOracle(FOR_EVER)
    for row in log:
        oracle.take(row)
    bars = [bar for bar in oracle.emitted if bar["revision"] and tuple(bar[name] for name in KEYS) in wanted]
    return frame(bars).unique(KEYS, keep="last", maintain_order=True).sort(*CAUSE, *KEYS)


def the_part_that_matters(log: list[Row], wanted: dict[tuple[str, str, int], int]) -> list[Row]:
    """From the first record that can hold an event of the first window to the last late one."""
    earliest = min(window for _, _, window in wanted) - CONFIG.max_future_ms * MS
    start = next(index for index, row in enumerate(log) if row["record_ts"] >= earliest)
    return [row for row in log[start:] if row["offset"] <= max(wanted.values())]


@given(logs(60, least=20), st.lists(st.integers(0, 60), max_size=4))
def test_repaired_bars_are_those_of_the_whole_log_computed_anew(log: list[Row], places: list[int]) -> None:
    wanted = late_windows(log)
    if not wanted:
        return
    rows = [(*key, last) for key, last in wanted.items()]
    machine = LateRepair(CONFIG, pl.DataFrame(rows, schema=WANTED, orient="row"))
    answers = [machine.take(batch(part)) for part in cut(the_part_that_matters(log, wanted), places)]
    assert sum(answer.windows.height for answer in answers) == len(wanted)
    bars = pl.concat([BARS.to_frame(), *(answer.bars for answer in answers)]).sort(*CAUSE, *KEYS)
    assert_same_bits(bars, recomputed(log, wanted))


def test_a_window_leaves_at_its_last_late_event_and_is_forgotten() -> None:
    late = tick(990, offset=50_000)
    wanted = pl.DataFrame([("a", "X", 990 * MS, 50_000)], schema=WANTED, orient="row")
    machine = LateRepair(CONFIG, wanted)
    first = machine.take(batch([tick(991, offset=1), tick(1_100, offset=2)]))
    assert first.windows.is_empty()
    second = machine.take(batch([late, tick(990, offset=50_001, event_id="after")]))
    assert second.bars.select("trades", "revision", "offset").rows() == [(2, 1, 50_000)]
    third = machine.take(batch([tick(990, offset=50_002, event_id="again")]))
    assert (third.windows.height, third.bars.height, len(machine._ids)) == (0, 0, 0)


def test_a_log_in_which_the_late_event_is_not_where_it_was_repairs_nothing() -> None:
    wanted = pl.DataFrame([("a", "X", 990 * MS, 50_000)], schema=WANTED, orient="row")
    answer = LateRepair(CONFIG, wanted).take(batch([tick(991, offset=1), tick(1_100, offset=60_000)]))
    assert (answer.windows.height, answer.bars.height) == (0, 0)
