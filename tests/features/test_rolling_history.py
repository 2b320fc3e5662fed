from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.rolling.feature_config import FeatureConfig
from features.rolling.history import History, Memory
from features.rolling.ring import Bars, Fields, Ints
from features.rolling.rolling import RollingFeatures
from features.rolling.symbol_rows import NOWHERE, SymbolRows
from tests.features.rolling_logs import KINDS, WINDOW, bits, feature, frame, row

FEATURES = [feature(kind, 6) for kind in KINDS]
LONG = [feature(kind, 40) for kind in KINDS]


def rolling(features: Sequence[FeatureConfig] = FEATURES) -> RollingFeatures:
    return RollingFeatures(features, WINDOW, 3 * WINDOW)


def market(slots: Iterable[int], symbols: Sequence[str]) -> list[dict[str, Any]]:
    generator = np.random.default_rng(3)
    return [
        row(slot, float(price), symbol=symbol, volume=float(volume), vwap=float(price) - 0.01)
        for slot in slots
        for symbol, price, volume in zip(
            symbols, 100 + generator.normal(size=len(symbols)), generator.random(len(symbols)), strict=True
        )
    ]


@pytest.mark.parametrize("others", [1, 2, 7, 64])
def test_bits_of_a_symbol_do_not_depend_on_the_symbols_beside_it(others: int) -> None:
    rows = market(range(1, 60), [f"S{i:02}" for i in range(65)])
    alone = rolling(LONG).update(frame([bar for bar in rows if bar["symbol"] == "S00"]))
    among = rolling(LONG).update(frame([bar for bar in rows if bar["symbol"] <= f"S{others:02}"]))
    assert bits(among.filter(symbol="S00")) == bits(alone)


def test_symbol_without_a_bar_in_reach_leaves_the_state() -> None:
    features = rolling()
    features.update(frame(market([1], ["A", "B"])))
    kept = 12 + 3  # the longest span, and what amendments can reach
    features.update(frame([row(kept, 1.0, symbol="B")]))
    assert set(features.snapshot()["histories"]["p"]["symbols"]) == {"A", "B"}
    features.update(frame([row(kept + 1, 1.0, symbol="B")]))
    assert set(features.snapshot()["histories"]["p"]["symbols"]) == {"B"}


def test_state_stays_bounded_when_symbols_come_and_go() -> None:
    features, sizes = rolling(), []
    for generation in range(12):
        symbols = [f"G{generation:02}S{i:02}" for i in range(30)]
        features.update(frame(market(range(20 * generation + 1, 20 * generation + 4), symbols)))
        sizes.append(len(pickle.dumps(features.snapshot())))
    assert max(sizes[2:]) == min(sizes[2:])


def bars(slot: int, rows: Ints) -> Bars:
    ones = np.ones(len(rows))
    return Bars(np.full(len(rows), slot), rows, Fields(ones, ones, ones, ones))


def test_rows_of_symbols_that_left_are_taken_again() -> None:
    history = History(Memory(span=4, amendable=1, periods=(2,)), head=0)
    for slot in range(1, 400, 3):
        history.record(bars(slot, history.rows(pl.Series([f"{slot}-{i}" for i in range(10)]))))
        history.forget_idle()
    assert history.ring.height <= 40


def test_symbol_is_known_by_its_newest_bar_whatever_the_order_of_its_amendments() -> None:
    features = rolling()
    features.update(frame(market(range(1, 30), ["A", "B"])))
    late = [row(slot, 90.0, symbol="C", revision=1) for slot in (29, 27)]
    features.update(frame([*late, row(27 + 15, 1.0, symbol="B")]))
    assert "C" in set(features.snapshot()["histories"]["p"]["symbols"])


def test_row_taken_again_holds_nothing_of_the_symbol_before() -> None:
    stale = rolling()
    stale.update(frame(market(range(1, 30), ["OLD"])))
    stale.update(frame(market([60], ["CLOCK"])))
    rows = frame(market(range(61, 90), ["NEW"]))
    fresh = rolling()
    fresh.update(frame(market([60], ["CLOCK"])))
    assert bits(stale.update(rows)) == bits(fresh.update(rows))


def test_ring_keeps_its_depth_over_steps_and_jumps() -> None:
    history, written = History(Memory(span=3, amendable=1, periods=()), head=10), {}
    rows = history.rows(pl.Series(["A", "B"]))
    for slot in [11, 12, 13, 14, 17, 18, 19, 30, 31, 34, 35, 200]:
        history.record(Bars(np.array([slot]), rows[:1], Fields(*(np.array([float(slot)]),) * 4)))
        written[slot] = float(slot)
        present, stored = history.ring.bars(rows)
        assert present[0].tolist() == [window in written for window in range(slot - 3, slot + 1)]
        assert not present[1].any()
        assert stored.tolist() == [[window for window in written if window > slot - 4]] * 3


def test_freed_rows_are_given_out_again_lowest_first() -> None:
    rows = SymbolRows()
    assert rows.add(pl.Series(["A", "B", "A", "C"])).tolist() == [0, 1, 2]
    rows.remove(np.array([1]))
    assert rows.locate(pl.Series(["C", "B", "A"])).tolist() == [2, NOWHERE, 0]
    assert rows.add(pl.Series(["D", "A", "E"])).tolist() == [1, 3]
