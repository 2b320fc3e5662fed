from __future__ import annotations

import pickle
import random
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts import frames
from features.rolling.feature_config import FeatureConfig
from features.rolling.rolling import RollingFeatures
from tests.features.rolling_logs import KINDS, WINDOW, bits, configs, expected, feature, frame, logs, row

AMENDABLE = 3
AMEND_NS = AMENDABLE * WINDOW + WINDOW // 2
ALL = [feature(kind, windows) for kind, windows in zip(KINDS, (5, 3, 6, 4, 3, 7, 7), strict=True)]


TOO_OLD = AMENDABLE + 2  # amendments that no watermark allows: however the log is cut, they must not count


def rolling(features: Sequence[FeatureConfig] = ALL, amend_ns: int = AMEND_NS) -> RollingFeatures:
    return RollingFeatures(features, WINDOW, amend_ns)


def walk(slots: Iterable[int], *, seed: int = 1, symbol: str = "A", provider: str = "p") -> list[dict[str, Any]]:
    """A bar in each slot, at prices that wander."""
    generator, price, bars = random.Random(seed), 100.0, []
    for slot in slots:
        price += generator.gauss(0, 1)
        bars.append(row(slot, price, symbol=symbol, provider=provider, volume=generator.random()))
    return bars


def last(rows: list[dict[str, Any]], features: Sequence[FeatureConfig] = ALL) -> dict[str, Any]:
    return rolling(features).update(frame(rows)).row(-1, named=True)


@given(configs, logs(AMENDABLE))
def test_features_are_those_of_the_bars_known_at_each_close(
    features: Sequence[FeatureConfig], rows: list[dict[str, Any]]
) -> None:
    made = rolling(features).update(frame(rows))
    names = tuple(config.name for config in features)
    assert made.schema == frames.features_schema(names)
    assert made.to_dicts() == pl.DataFrame(expected(rows, features), schema=made.schema).to_dicts()


@given(configs, logs(0))
def test_features_are_right_without_amendments_too(
    features: Sequence[FeatureConfig], rows: list[dict[str, Any]]
) -> None:
    made = rolling(features, amend_ns=0).update(frame(rows))
    assert made.to_dicts() == pl.DataFrame(expected(rows, features), schema=made.schema).to_dicts()


@given(logs(TOO_OLD), st.data())
def test_bits_do_not_depend_on_how_the_log_is_cut(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(rows))).map(sorted))
    whole, parts = rolling(), rolling()
    made = [parts.update(frame(rows[start:stop])) for start, stop in pairwise([0, *cuts, len(rows)])]
    assert bits(pl.concat(made)) == bits(whole.update(frame(rows)))


@given(logs(TOO_OLD, steps=15))
@example(walk(range(1, 60)))
def test_bits_survive_a_snapshot_after_every_row(rows: list[dict[str, Any]]) -> None:
    made, state = [], rolling().snapshot()
    for bar in rows:
        resumed = rolling()
        resumed.restore(pickle.loads(pickle.dumps(state)))
        made.append(resumed.update(frame([bar])))
        state = resumed.snapshot()
    assert bits(pl.concat([rolling().update(frame([])), *made])) == bits(rolling().update(frame(rows)))


@given(logs(TOO_OLD, steps=25), st.data())
def test_provisional_answers_and_keeps_nothing(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(rows)))
    features = rolling()
    features.update(frame(rows[:cut]))
    rest = frame(rows[cut:])
    answer = bits(features.provisional(rest))
    assert bits(features.provisional(rest)) == answer
    assert bits(features.update(rest)) == answer


def test_snapshot_does_not_follow_later_updates() -> None:
    features = rolling()
    features.update(frame(walk(range(1, 20))))
    state = features.snapshot()
    before = pickle.dumps(state)
    features.update(frame(walk(range(20, 30), seed=2)))
    assert pickle.dumps(state) == before


def test_state_of_other_features_is_refused() -> None:
    with pytest.raises(ValueError, match="other features or windows"):
        rolling().restore(rolling([feature("rsi", 5)]).snapshot())


def test_long_run_over_many_slides_of_the_ring_equals_the_oracle() -> None:
    rows = sorted(
        walk(range(1, 200)) + walk(range(1, 200, 3), symbol="B") + walk(range(1, 200, 2), symbol="C"),
        key=lambda bar: bar["window_end"],
    )
    features = [feature(kind, windows) for kind in KINDS for windows in (5, 31)]
    made = rolling(features).update(frame(rows))
    assert made.to_dicts() == pl.DataFrame(expected(rows, features), schema=made.schema).to_dicts()


def test_amendment_counts_for_later_closes_only() -> None:
    before, after = walk(range(1, 20)), walk(range(20, 22), seed=2)
    amended = row(18, 500.0, revision=1)
    plain, corrected = (rolling().update(frame(rows)) for rows in (before + after, [*before, amended, *after]))
    assert bits(plain[:19]) == bits(corrected[:19])
    assert corrected["rsi_3"][19] != plain["rsi_3"][19]
    assert corrected["volatility_6"][19] > plain["volatility_6"][19]


def test_amendment_gives_a_bar_to_a_window_and_symbol_that_had_none() -> None:
    rows = walk([1, 2, 3, 5, 6])
    assert last([*rows, row(4, 90.0, revision=1), row(7, 91.0)]) == last(
        [*rows[:3], row(4, 90.0), *rows[3:], row(7, 91.0)]
    )


def test_last_of_several_amendments_of_a_bar_counts() -> None:
    rows = walk(range(1, 10))
    twice = [*rows, row(9, 1.0, revision=1), row(9, 2.0, revision=2), row(10, 3.0)]
    assert last(twice) == last([*rows, row(9, 2.0, revision=2), row(10, 3.0)])


def test_amendments_far_apart_in_time_between_two_closes_all_count() -> None:
    features = [feature("rsi", 40)]
    rows = [*walk(range(1, 45)), row(43, 50.0, revision=1), row(60, 70.0, revision=1), row(61, 80.0)]
    assert last(rows, features)["rsi_40"] == expected(rows, features)[-1]["rsi_40"]


def test_amendment_too_old_for_another_one_before_it_does_not_count() -> None:
    rows = walk(range(1, 20))
    newer, too_old = row(40, 1.0, revision=1), row(40 - AMENDABLE - 1, 2.0, revision=1)
    assert last([*rows, newer, too_old, row(41, 3.0)]) == last([*rows, newer, row(41, 3.0)])
    assert last([*rows, too_old, newer, row(41, 3.0)]) != last([*rows, newer, row(41, 3.0)])


def test_window_closed_again_replaces_the_bar() -> None:
    rows = walk(range(1, 10))
    again = last([*rows, row(10, 1.0, offset=10), row(10, 2.0, offset=11)])
    assert again == last([*rows, row(10, 2.0, offset=11)])


def test_close_far_behind_the_newest_window_is_undefined_and_leaves_no_trace() -> None:
    rows = walk(range(1, 30))
    features = rolling()
    features.update(frame(rows))
    state = pickle.dumps(features.snapshot())
    made = features.update(frame([row(29 - AMENDABLE - 1, 1.0)]))
    assert made.select(config.name for config in ALL).null_count().row(0) == (1,) * len(ALL)
    assert pickle.dumps(features.snapshot()) == state


def test_silence_of_the_longest_span_starts_a_symbol_anew() -> None:
    features = [feature("rsi", 5)]
    rows = walk(range(1, 20))
    assert last([*rows, row(19 + 4, 1.0)], features)["rsi_5"] is not None
    assert last([*rows, row(19 + 5, 1.0)], features)["rsi_5"] is None


def test_other_symbols_closing_in_between_do_not_change_when_a_symbol_starts_anew() -> None:
    features = [feature("rsi", 5)]
    others = walk(range(20, 40), symbol="B")
    amended = [*walk(range(1, 20)), *others[:6], row(22, 1.0, revision=1), *others[6:7], row(26, 2.0)]
    assert last(amended, features)["rsi_5"] == expected(amended, features)[-1]["rsi_5"] is not None


def test_providers_keep_time_of_their_own() -> None:
    fast, slow = walk(range(1_000, 1_020), provider="fast"), walk(range(1, 21), provider="slow")
    mixed = [bar for pair in zip(fast, slow, strict=True) for bar in pair]
    made = rolling().update(frame(mixed))
    for provider, rows in (("fast", fast), ("slow", slow)):
        assert bits(made.filter(provider=provider)) == bits(rolling().update(frame(rows)))


def test_no_features_still_passes_the_bars_on() -> None:
    made = rolling([]).update(frame(walk(range(1, 4))))
    assert made.schema == frames.features_schema(())
    assert made.height == 3


def test_no_bars_give_an_empty_frame() -> None:
    made = rolling().update(frame([]))
    assert made.schema == frames.features_schema(tuple(config.name for config in ALL))
    assert made.is_empty()


def test_features_that_do_not_fit_the_window_are_refused() -> None:
    with pytest.raises(ValueError, match="whole multiple"):
        RollingFeatures([feature("vwap", 5)], 3_000_000_000, AMEND_NS)
