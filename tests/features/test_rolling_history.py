from __future__ import annotations

import pickle

import numpy as np
import polars as pl
import pytest

from features.history import Bars, History, Memory
from features.ring import Field, Ring
from features.rolling import RollingFeatures
from features.symbol_columns import SymbolColumns
from tests.features.rolling_logs import KINDS, WINDOW, bits, feature, frame, row

FEATURES = [feature(kind, 6) for kind in KINDS]
LONG = [feature(kind, 40) for kind in KINDS]  # fewer than 8 numbers NumPy adds in the same order anyhow


def rolling(features=FEATURES):
    return RollingFeatures(features, WINDOW, 3 * WINDOW)


def market(slots, symbols):
    generator = np.random.default_rng(3)
    return [
        row(slot, float(price), symbol=symbol, volume=float(volume), vwap=float(price) - 0.01)
        for slot in slots
        for symbol, price, volume in zip(
            symbols, 100 + generator.normal(size=len(symbols)), generator.random(len(symbols)), strict=True
        )
    ]


@pytest.mark.parametrize("others", [1, 2, 7, 64])
def test_bits_of_a_symbol_do_not_depend_on_the_symbols_beside_it(others):
    rows = market(range(1, 60), [f"S{i:02}" for i in range(65)])
    alone = rolling(LONG).update(frame([bar for bar in rows if bar["symbol"] == "S00"]))
    among = rolling(LONG).update(frame([bar for bar in rows if bar["symbol"] <= f"S{others:02}"]))
    assert bits(among.filter(symbol="S00")) == bits(alone)


def test_symbol_without_a_bar_in_reach_leaves_the_state():
    features = rolling()
    features.update(frame(market([1], ["A", "B"])))
    kept = 12 + 3  # the longest span, and what amendments can reach
    features.update(frame([row(kept, 1.0, symbol="B")]))
    assert set(features.snapshot().histories["p"].symbols) == {"A", "B"}
    features.update(frame([row(kept + 1, 1.0, symbol="B")]))
    assert set(features.snapshot().histories["p"].symbols) == {"B"}


def test_state_stays_bounded_when_symbols_come_and_go():
    features, sizes = rolling(), []
    for generation in range(12):
        symbols = [f"G{generation:02}S{i:02}" for i in range(30)]
        features.update(frame(market(range(20 * generation + 1, 20 * generation + 4), symbols)))
        sizes.append(len(pickle.dumps(features.snapshot())))
    assert max(sizes[2:]) == min(sizes[2:])


def test_columns_of_symbols_that_left_are_taken_again():
    memory = Memory(span=4, amendable=1, periods=(2,))
    history = History(memory, head=0)
    for slot in range(1, 400, 3):
        symbols = pl.Series([f"{slot}-{i}" for i in range(10)])
        ones = np.ones(10)
        history.record(Bars(np.full(10, slot), history.columns(symbols), ones, ones, ones))
        history.forget_idle()
    assert history.ring.width <= 40


def test_column_taken_again_holds_nothing_of_the_symbol_before():
    stale = rolling()
    stale.update(frame(market(range(1, 30), ["OLD"])))
    stale.update(frame(market([60], ["CLOCK"])))
    rows = frame(market(range(61, 90), ["NEW"]))
    fresh = rolling()
    fresh.update(frame(market([60], ["CLOCK"])))
    assert bits(stale.update(rows)) == bits(fresh.update(rows))


def test_ring_keeps_its_depth_over_steps_and_jumps():
    ring = Ring({"value": Field(-1.0), "carried": Field(0.0, carried=True)}, depth=4, head=10)
    written = {}
    for slot in [11, 12, 13, 14, 17, 18, 19, 30, 31, 34, 35, 200]:
        ring.advance(slot)
        ring["value"][ring.row(slot)] = ring["carried"][ring.row(slot)] = written[slot] = float(slot)
        window = range(slot - 3, slot + 1)
        assert ring.live("value")[:, 0].tolist() == [written.get(s, -1.0) for s in window]
        assert ring.live("carried")[:, 0].tolist() == [max((w for w in written if w <= s), default=0) for s in window]


def test_ring_never_has_a_single_column():
    assert Ring({"value": Field(0.0)}, depth=2, head=0).width >= 2


def test_freed_columns_are_given_out_again_lowest_first():
    columns = SymbolColumns()
    assert columns.add(pl.Series(["A", "B", "A", "C"])).tolist() == [0, 1, 2]
    columns.remove(np.array([1]))
    assert columns.locate(pl.Series(["C", "B", "A"])).to_list() == [2, None, 0]
    assert columns.add(pl.Series(["D", "E"])).tolist() == [1, 3]
