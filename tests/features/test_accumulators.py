"""Bars in the making add up exactly, to the last bit, and in whatever pieces."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.frames import EVENTS
from features.bars.accumulators import Accumulators, BarIds, finished, merged
from features.bars.contributions import gathered
from features.bars.providers import Providers
from features.bars.symbols import Symbols
from native.keyed_hash import new_key
from tests.event_logs import CONFIG, SIDED_ROWS, Row, as_log, cut
from tests.oracle_windows import OracleBar

WINDOW_NS = 10_000_000
PRICES: st.SearchStrategy[float] = st.floats(-1e15, 1e15) | st.floats(1e-12, 1.0)
SIZES: st.SearchStrategy[float] = st.just(0.0) | st.floats(1e-18, 1e18) | st.floats(1e-18, 1e-6)


def events(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame([{name: row[name] for name in EVENTS} for row in rows], schema=EVENTS)


def gather(rows: list[Row], providers: Providers, symbols: Symbols) -> Accumulators:
    frame = events(rows)
    window = frame["src_ts"].to_numpy() // WINDOW_NS
    bar = BarIds(window, providers.numbers(frame["provider"]), symbols.numbers(frame["symbol"]))
    return gathered(frame, bar, np.arange(len(rows)))


def tick(offset: int, **changes: Any) -> Row:
    place = {"record": 0, "offset": offset, "row": 0, "src_ts": 5, "seq": None, "event_id": str(offset), "side": None}
    prices = dict.fromkeys("ohl") | {"c": 1.0, "v": 1.0}
    return {"provider": "a", "symbol": "X", "kind": "tick", **place, **prices, **changes}


def bar(rows: list[Row], *, times: int = 1) -> dict[str, Any]:
    """The bar of some rows, each as often as that."""
    names, cause = (pl.Series(["a"]), pl.Series(["X"])), (np.array([0]), np.array([0]))
    total = reduce(merged, [gather(rows, Providers(new_key()), Symbols(new_key()))] * times)
    (made,) = finished(total, names, cause, WINDOW_NS, "10ms").to_dicts()
    return made


@given(st.lists(SIDED_ROWS, min_size=1, max_size=30), st.lists(st.integers(0, 30), max_size=3))
def test_the_pieces_of_a_log_add_up_to_the_whole(rows: list[Row], places: list[int]) -> None:
    log = as_log([row | {"kind": "tick" if row["kind"] == "heartbeat" else row["kind"]} for row in rows], -60)
    providers, symbols = Providers(new_key()), Symbols(new_key())
    whole = gather(log, providers, symbols)
    pieces = [gather(list(piece), providers, symbols) for piece in cut(log, places) if piece]
    assert reduce(merged, reversed(pieces)).tobytes() == whole.tobytes()


def test_a_window_of_large_trades_does_not_overflow() -> None:
    made = bar([tick(offset, c=1e12, v=1e12) for offset in range(300)], times=1_000)
    assert (made["trades"], made["volume"], made["vwap"]) == (300_000, 300_000 * 1e12, 1e12)


@pytest.mark.parametrize(
    "rows",
    [
        [tick(offset, c=2.1e-10, v=2.5) for offset in range(3)],
        [tick(offset, c=c, v=1e-10) for offset, c in enumerate((1.0, 2.0))],
        [tick(offset, c=c, v=1e-18) for offset, c in enumerate((1e-2, 3e-2))],
        [tick(offset, c=1e15 * (-1) ** offset, v=1e18) for offset in range(1_001)] + [tick(2_000, c=1e-9, v=1e-9)],
    ],
    ids=["small prices", "small sizes", "the smallest sizes", "large ones that cancel out"],
)
def test_volume_and_vwap_are_those_of_fractions(rows: list[Row]) -> None:
    values = OracleBar("a", "X", 0, rows).values(CONFIG)
    made = bar(rows)
    assert (made["volume"], made["vwap"]) == (values["volume"], values["vwap"])


@given(PRICES, st.lists(SIZES, min_size=1))
@example(89912.9, [4.756e-05])  # a trade whose price times size, over the size, is another price
def test_the_vwap_of_equal_prices_is_that_price(price: float, sizes: list[float]) -> None:
    made = bar([tick(offset, c=price, v=size) for offset, size in enumerate(sizes)])
    assert made["vwap"] == (price if any(sizes) else None)


@given(st.lists(st.tuples(st.sampled_from(["tick", "bar"]), PRICES, SIZES), min_size=1))
@example([("bar", 0.1, 1.0)])  # (h + l + c) / 3 is more than h
def test_vwap_lies_within_low_and_high(trades: list[tuple[str, float, float]]) -> None:
    made = bar([tick(offset, kind=kind, **dict.fromkeys("ohlc", p), v=v) for offset, (kind, p, v) in enumerate(trades)])
    assert made["vwap"] is None or made["low"] <= made["vwap"] <= made["high"]


def test_a_bar_without_volume_has_no_vwap() -> None:
    assert bar([tick(0, v=0.0), tick(1, v=0.0)])["vwap"] is None


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
