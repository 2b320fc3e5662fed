"""Bars in the making add up exactly: to the last unit of 1e-9, and in whatever pieces."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.frames import EVENTS
from features.accumulators import Accumulators, BarIds, finished, merged
from features.contributions import gathered
from features.feeds import Feeds
from features.symbols import Symbols
from tests.event_logs import ROWS, Row, as_log, cut
from tests.oracle_windows import OracleBar

WINDOW_NS = 10_000_000


def events(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame([{name: row[name] for name in EVENTS} for row in rows], schema=EVENTS)


def gather(rows: list[Row], feeds: Feeds, symbols: Symbols) -> Accumulators:
    frame = events(rows)
    window = frame["src_ts"].to_numpy() // WINDOW_NS
    bar = BarIds(window, feeds.numbers(frame["provider"]), symbols.numbers(frame["symbol"]))
    return gathered(frame, bar, np.arange(len(rows)))


def tick(offset: int, **changes: Any) -> Row:
    place = {"record": 0, "offset": offset, "row": 0, "src_ts": 5, "seq": None, "event_id": str(offset)}
    prices = dict.fromkeys("ohl") | {"c": 1.0, "v": 1.0}
    return {"provider": "a", "symbol": "X", "kind": "tick", **place, **prices, **changes}


def bar(rows: list[Row]) -> dict[str, Any]:
    names, cause = (pl.Series(["a"]), pl.Series(["X"])), (np.array([0]), np.array([0]))
    (made,) = finished(gather(rows, Feeds(), Symbols()), names, cause, WINDOW_NS, "10ms").to_dicts()
    return made


@given(st.lists(ROWS, min_size=1, max_size=30), st.lists(st.integers(0, 30), max_size=3))
def test_the_pieces_of_a_log_add_up_to_the_whole(rows: list[Row], places: list[int]) -> None:
    log = as_log([row | {"kind": "tick" if row["kind"] == "heartbeat" else row["kind"]} for row in rows], -60)
    feeds, symbols = Feeds(), Symbols()
    whole = gather(log, feeds, symbols)
    pieces = [gather(piece, feeds, symbols) for piece in cut(log, places) if piece]
    assert reduce(merged, reversed(pieces)).tobytes() == whole.tobytes()


def test_sums_are_exact_far_beyond_64_bits() -> None:
    rows = [tick(offset, c=1e12 * (-1) ** offset, v=1e12) for offset in range(1_001)] + [tick(2_000, c=1e-9, v=1.0)]
    made = bar(rows)
    exact = OracleBar("a", "X", 0, rows)
    turnover = sum(round(row["c"] * row["v"] * 1e9) for row in exact.events)
    volume = sum(round(row["v"] * 1e9) for row in exact.events)
    assert (made["volume"], made["vwap"]) == (float(volume) / 1e9, float(turnover) / float(volume))


@pytest.mark.parametrize(
    "limbs", [(2**40 - 1, 2**23 - 1, 0), (0, 2**23, 0), (1, 2**40 - 2**23 + 1, -1), (513, 2**13, 0)]
)
def test_a_sum_becomes_the_nearest_float_on_either_side_of_64_bits(limbs: tuple[int, int, int]) -> None:
    made = gather([tick(0)], Feeds(), Symbols())
    made["turnover"], made["volume"] = limbs, (1, 0, 0)
    cause, names = (np.array([0]), np.array([0])), (pl.Series(["a"]), pl.Series(["X"]))
    (vwap,) = finished(made, names, cause, WINDOW_NS, "10ms")["vwap"]
    assert vwap == float(sum(limb << 40 * place for place, limb in enumerate(limbs)))


def test_a_bar_without_volume_has_no_vwap() -> None:
    assert bar([tick(0, v=0.0), tick(1, v=4e-10)])["vwap"] is None


def test_half_a_unit_is_rounded_to_even() -> None:
    assert bar([tick(0, v=5e-10)])["volume"] == 0.0
    assert bar([tick(0, v=1.5e-9)])["volume"] == 2e-9


def test_the_typical_price_of_a_bar_event_is_correctly_rounded() -> None:
    prices = {"o": 0.1, "h": 0.1, "l": 0.1, "c": 0.1}
    made = bar([tick(0, kind="bar", v=1e9, **prices)])
    assert made["vwap"] == round((0.1 + 0.1 + 0.1) / 3 * 1e9 * 1e9) / 1e18


def test_open_and_close_follow_time_then_seq_then_place_in_the_log() -> None:
    rows = [
        tick(3, c=1.0, seq=2),
        tick(4, c=2.0),
        tick(5, c=3.0, seq=1),
        tick(6, c=4.0, seq=2),
        tick(7, c=5.0, src_ts=4),
    ]
    made = bar(rows)
    assert (made["open"], made["close"]) == (5.0, 4.0)
    made = bar(rows[:-1])
    assert (made["open"], made["close"]) == (2.0, 4.0)
