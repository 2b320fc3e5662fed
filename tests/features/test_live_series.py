"""However many symbols and providers a log has, a partition holds few: which ones, follows from the log alone."""

from __future__ import annotations

import pickle
import random
from collections.abc import Sequence
from dataclasses import asdict

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.batch import MicroBatch
from features.bars.late_repair import WANTED, LateRepair
from features.bars.window_config import WindowConfig
from features.bars.windows import Windows
from features.rolling.feature_config import FeatureConfig
from features.rolling.rolling import RollingFeatures
from tests.event_logs import CONFIG, MS, Row, cut, logs
from tests.features.test_windows import assert_same_bits, batch, frame, tick
from tests.oracle_windows import WindowOracle

SPAN_NS = 40 * MS
FEATURES = [
    FeatureConfig(name="mean", kind="vwap", horizon="40ms"),
    FeatureConfig(name="rsi", kind="rsi", horizon="20ms"),
]
RETAINED = 5  # windows: the span, and what can be amended

LOGS = logs(60)
PLACES = st.lists(st.integers(0, 60), max_size=4)


def limited(symbols: int, providers: int = 1_000) -> WindowConfig:
    return CONFIG.model_copy(update={"max_symbols": symbols, "max_providers": providers})


limits: st.SearchStrategy[WindowConfig] = st.builds(limited, st.integers(1, 4), st.integers(1, 2))


def expected(log: Sequence[Row], config: WindowConfig) -> tuple[WindowOracle, list[tuple[int, int]]]:
    """The oracle after the log, and the places of the rows that it has rejected."""
    oracle = WindowOracle(config, SPAN_NS)
    return oracle, [(row["offset"], row["row"]) for row in log if oracle.take(row) == "rejected"]


def assert_agrees(answers: list[MicroBatch], log: Sequence[Row], config: WindowConfig) -> None:
    oracle, rejected = expected(log, config)
    assert_same_bits(pl.concat([answer.bars for answer in answers]), frame(oracle.emitted))
    assert pl.concat([answer.rejects for answer in answers]).select("offset", "row").rows() == rejected
    counts = asdict(answers[-1].outcomes)
    assert {name: counts[name] for name in oracle.outcomes} == oracle.outcomes


def same_id_twice(symbol: str) -> list[Row]:
    """An event that is rejected, and one with its id that is not: the first of a window far ahead."""
    again = [tick(1_001, symbol=symbol, offset=offset, event_id="e") for offset in (1, 2)]
    return [tick(1_000, offset=0), *again, tick(1_100, offset=3, symbol="Z"), tick(1_000, offset=4)]


@given(LOGS, PLACES, limits)
@example(same_id_twice("Y"), [], limited(1))
@example(same_id_twice("Y"), [2], limited(1))
def test_what_is_rejected_is_the_oracles_however_the_log_is_cut(
    log: list[Row], places: list[int], config: WindowConfig
) -> None:
    windows = Windows(config, SPAN_NS)
    assert_agrees([windows.step(batch(part)) for part in cut(log, places)], log, config)


@given(logs(60, least=20), st.lists(st.integers(0, 60), min_size=2, max_size=2), limits)
def test_a_crash_at_any_point_rejects_the_same(log: list[Row], places: list[int], config: WindowConfig) -> None:
    before, lost, after = cut(log, places)
    first, second = Windows(config, SPAN_NS), Windows(config, SPAN_NS)
    answers = [first.step(batch(before))]
    state = first.snapshot()
    first.step(batch(lost))  # must not change what the snapshot holds
    second.restore(pickle.loads(pickle.dumps(state)))
    assert_agrees([*answers, second.step(batch([*lost, *after]))], log, config)


@given(LOGS, limits)
def test_all_other_events_make_the_bars_that_they_make_alone(log: list[Row], config: WindowConfig) -> None:
    made, (_, rejected) = Windows(config, SPAN_NS).step(batch(log)), expected(log, config)
    others = [row for row in log if (row["offset"], row["row"]) not in set(rejected)]
    assert_same_bits(made.bars, Windows(CONFIG).step(batch(others)).bars)


def crowd(seed: int, count: int) -> list[Row]:
    """Symbols of a few providers that come and go, at times after a long silence of all others, at times late."""
    chance, log, now = random.Random(seed), list[Row](), 1_000.0
    for offset in range(count):
        now += chance.choice([0, 0, 0, 0, 1, 3, 10, 20]) + (200 if chance.random() < 0.01 else 0)
        behind = chance.choice([0, 0, 0, 5, 20])
        number = offset // 20 + chance.randrange(4)
        event = {"symbol": f"S{number}", "provider": chance.choice("abc"), "event_id": str(offset), "offset": offset}
        log.append(tick(now - behind, **event))
    return log


@pytest.mark.parametrize("size", [1, 7, 500])
def test_later_steps_hold_no_series_that_does_not_count(size: int) -> None:
    config = limited(6)
    windows = Windows(config, SPAN_NS)
    rolling = RollingFeatures(FEATURES, config.window_ns, config.amend_ns)
    oracle, log, most = WindowOracle(config, SPAN_NS), crowd(1, 5_000), 0
    for start in range(0, len(log), size):
        rolling.step(windows.step(batch(log[start : start + size])))
        for row in log[start : start + size]:
            oracle.take(row)
        live = oracle.live()
        histories = rolling.snapshot()["histories"]
        held = {(provider, symbol) for provider, one in histories.items() for symbol in one["symbols"]}
        state = windows.snapshot()
        assert held <= live
        assert len(state["series"]["series"]) == len(live) <= config.max_symbols + 3 * len(histories)
        most = max(most, len(held))
    assert most >= config.max_symbols
    assert oracle.outcomes["rejected"] > 100
    assert oracle.outcomes["accepted"] > 1_000


def outcomes(log: Sequence[Row], config: WindowConfig) -> list[bool]:
    """Whether each row is rejected."""
    windows = Windows(config, SPAN_NS)
    return [bool(windows.step(batch([row])).rejects.height) for row in log]


def test_a_symbol_is_rejected_while_others_fill_the_partition_and_they_are_not() -> None:
    rows = [("A", False), ("B", False), ("C", True), ("A", False), ("B", False), ("C", True)]
    log = [tick(1_000 + place, symbol=symbol) for place, (symbol, _) in enumerate(rows)]
    assert outcomes(log, limited(2)) == [rejected for _, rejected in rows]


def test_symbols_that_have_gone_make_room_for_others() -> None:
    left = [tick(1_000, symbol="A"), tick(1_000, symbol="B")]
    stays = [tick(1_010 + 10 * window, symbol="B") for window in range(2 * RETAINED + 2)]
    assert not any(outcomes([*left, *stays, tick(1_200, symbol="C"), tick(1_200, symbol="C")], limited(2)))


def test_symbols_that_all_go_at_once_make_room_too() -> None:
    left = [tick(1_000, symbol=f"A{number}") for number in range(5)]
    new = [tick(2_000 + place, symbol=f"B{place % 5}") for place in range(300)]
    rejected = outcomes([*left, *new], limited(5))
    assert any(rejected)
    assert not any(rejected[-100:])


def test_each_provider_has_a_symbol_however_many_the_others_have() -> None:
    log = [
        *(tick(1_000, symbol=f"A{number}") for number in range(5)),
        tick(1_000, provider="b"),
        tick(1_001, provider="b"),
    ]
    assert outcomes(log, limited(2)) == [False, False, True, True, True, False, False]


def test_an_event_without_room_says_why_and_moves_no_watermark() -> None:
    windows = Windows(limited(1, 1))
    log = [tick(1_000), tick(1_009, symbol="Y"), tick(1_014, symbol="Y"), tick(1_015, provider="b")]
    answer = windows.step(batch(log))
    assert answer.rejects["reason"].to_list() == ["too_many_symbols", "too_many_symbols", "too_many_providers"]
    assert answer.watermark == 997 * MS
    assert answer.bars.is_empty()
    assert answer.ingested == {"a": 1}
    assert answer.outcomes.events == 4


def test_providers_stay_so_that_old_events_of_theirs_stay_late() -> None:
    log = [tick(10_000), *(tick(20_000, provider=f"b{number}") for number in range(10)), tick(1_000, offset=9)]
    windows = Windows(limited(100, 3))
    answer = windows.step(batch(log))
    assert (answer.rejects.height, answer.late.height) == (8, 1)
    assert len(windows.snapshot()["newest"]) == 3


def test_heartbeats_of_unknown_providers_are_rejected() -> None:
    answer = Windows(limited(1, 1)).step(batch([tick(1_000), tick(1_001, provider="b", kind="heartbeat", symbol=None)]))
    assert answer.rejects["reason"].to_list() == ["too_many_providers"]
    assert answer.rejects["key"].to_list() == [None]


def test_names_of_rejected_symbols_are_not_kept() -> None:
    windows = Windows(limited(10))
    for number in range(200):
        windows.step(batch([tick(1_000, symbol=f"{number}-{place}") for place in range(100)]))
        assert len(windows._symbols) < 2_000


def test_a_repair_counts_all_events_of_its_windows_whatever_else_the_log_holds() -> None:
    wanted = pl.DataFrame([("a", "X", 1_000 * MS, 20_000)], schema=WANTED, orient="row")
    crowded = [tick(1_000, symbol=f"B{number}", offset=number) for number in range(50)]
    late = [tick(1_005, offset=9_000), tick(1_100, symbol="B0", offset=9_001), tick(1_001, offset=20_000)]
    (made,) = [LateRepair(limited(3), wanted).take(batch([*crowded, *late])).bars]
    assert made["trades"].to_list() == [2]
