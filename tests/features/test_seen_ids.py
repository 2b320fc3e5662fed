"""The set of ids agrees with a plain one, whatever is added, looked up and forgotten in whatever batches."""

from __future__ import annotations

import pickle

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from features.bars.accumulators import BarIds
from features.bars.providers import Providers
from features.bars.seen_ids import IdKeys, Ids, SeenIds
from features.bars.symbols import Symbols
from native.strings import hashes

KEYS = IdKeys.new()
NO_WATERMARK = np.array([-(2**62)])


def pairs(high: list[int], low: list[int], expiry: int = 1) -> Ids:
    return Ids(np.array(high, np.uint32), np.array(low, np.uint64), np.full(len(high), expiry))


def known_to(ids: SeenIds, high: list[int], low: list[int], expiry: int = 1) -> list[bool]:
    found: list[bool] = (~ids.fresh(pairs(high, low, expiry), np.arange(len(high)))).tolist()
    return found


def add(ids: SeenIds, high: list[int], low: list[int], expiry: int, watermark: int = 0, provider: int = 0) -> None:
    count = len(high)
    watermarks = np.full(provider + 1, watermark)
    ids.add(pairs(high, low, expiry), np.arange(count), np.full(count, provider), watermarks)
    ids.forget(watermarks)


@given(st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=12), max_size=25))
def test_it_is_a_set_even_of_ids_whose_high_halves_collide(batches: list[list[tuple[int, int]]]) -> None:
    ids, known = SeenIds(), set[tuple[int, int]]()
    everything = [(high, low) for high in range(6) for low in range(10)]
    for batch in batches:
        new = sorted(set(batch) - known, key=lambda pair: (pair[1], -pair[0]))
        add(ids, [high for high, _ in new], [low for _, low in new], expiry=1)
        known |= set(new)
        found = known_to(ids, [high for high, _ in everything], [low for _, low in everything])
        assert [pair for pair, seen in zip(everything, found, strict=True) if seen] == sorted(known)
        assert len(ids) == len(known)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 20)), max_size=30))
def test_an_id_is_known_until_its_expiry_and_memory_is_bounded(steps: list[tuple[int, int]]) -> None:
    ids, added, now = SeenIds(), dict[int, int](), 0
    for count, time in steps:
        now += time
        new = range(len(added), len(added) + count)
        add(ids, [number * 7919 % 1_000 for number in new], list(new), expiry=now + 10, watermark=now)
        added |= dict.fromkeys(new, now + 10)
        alive = {number: expiry for number, expiry in added.items() if expiry >= now}
        assert all(known_to(ids, [n * 7919 % 1_000], [n], expiry) == [True] for n, expiry in alive.items())
        assert len(ids) <= 4 * len(alive)


def test_an_id_expires_by_the_watermark_of_its_own_provider() -> None:
    ids = SeenIds()
    slow, fast = 0, 1
    watermarks = np.array([0, 1_000])
    ids.add(pairs([1, 2, 3], [1, 2, 3], 500), np.arange(3), np.array([slow, fast, fast]), watermarks)
    ids.forget(watermarks)
    assert known_to(ids, [1, 2, 3], [1, 2, 3], 500) == [True, False, False]


def test_a_snapshot_stays_as_it_was() -> None:
    ids = SeenIds()
    add(ids, [5, 1], [5, 1], expiry=10)
    state = ids.snapshot()
    before = pickle.dumps(state)
    add(ids, [3, 9], [3, 9], expiry=10)
    assert pickle.dumps(state) == before
    restored = SeenIds()
    restored.restore(pickle.loads(before))
    assert known_to(restored, [1, 3, 5, 9], [1, 3, 5, 9], 10) == [True, False, True, False]


def test_nothing_is_known_to_an_empty_set_and_nothing_is_looked_up() -> None:
    ids = SeenIds()
    assert known_to(ids, [1], [1]) == [False]
    add(ids, [], [], expiry=1)
    add(ids, [1], [1], expiry=1)
    assert known_to(ids, [], []) == []


def test_ids_that_come_one_by_one_lie_in_a_few_arrays() -> None:
    ids = SeenIds()
    for number in range(3_000):
        ids.add(pairs([number * 7919 % 3_000], [number]), np.array([0]), np.array([0]), NO_WATERMARK)
    assert len(ids) == 3_000
    assert len(ids.snapshot()) <= 12


def test_an_id_that_has_expired_when_it_is_added_is_not_kept() -> None:
    ids = SeenIds()
    add(ids, [1], [1], expiry=4, watermark=5)
    assert len(ids) == 0
    add(ids, [2], [2], expiry=5, watermark=5)
    assert known_to(ids, [1, 2], [1, 2], expiry=5) == [False, True]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), max_size=30))
def test_only_the_first_of_equal_ids_in_a_batch_is_fresh(batch: list[tuple[int, int, bool]]) -> None:
    ids, met = SeenIds(), set[tuple[int, int]]()
    add(ids, [2], [2], expiry=1)
    expected = []
    for high, low, asked in batch:
        expected.append(asked and (high, low) not in met | {(2, 2)})
        met |= {(high, low)} if asked else set()
    rows = np.flatnonzero([asked for _, _, asked in batch])
    fresh = ids.fresh(pairs([high for high, _, _ in batch], [low for _, low, _ in batch]), rows)
    assert fresh.tolist() == expected


names: st.SearchStrategy[str] = st.text(st.sampled_from("ab|\0"), max_size=3)


@given(st.lists(st.tuples(names, names, names, st.integers(-1, 1)), min_size=1, max_size=30))
def test_ids_tell_events_windows_symbols_and_providers_apart(rows: list[tuple[str, str, str, int]]) -> None:
    marks = marked(rows, providers := Providers(KEYS.provider), symbols := Symbols(KEYS.symbol))
    distinct = len(set(rows))
    assert len(set(marks.high.tolist())) == len(set(marks.low.tolist())) == distinct
    last = marked(rows[-1:], providers, symbols)
    assert (last.high[0], last.low[0]) == (marks.high[-1], marks.low[-1])


@given(st.lists(st.tuples(names, names, names, st.integers(-1, 1)), min_size=1, max_size=30))
def test_an_id_has_the_same_hashes_whatever_came_before_it(rows: list[tuple[str, str, str, int]]) -> None:
    alone, among = (marked(part, Providers(KEYS.provider), Symbols(KEYS.symbol)) for part in (rows[-1:], rows))
    assert (alone.high[0], alone.low[0]) == (among.high[-1], among.low[-1])


def marked(rows: list[tuple[str, str, str, int]], providers: Providers, symbols: Symbols) -> Ids:
    events = pl.DataFrame(rows, schema=["provider", "symbol", "event_id", "window"], orient="row")
    window = events["window"].to_numpy()
    bar = BarIds(window, providers.numbers(events["provider"]), symbols.numbers(events["symbol"]))
    return Ids.of(hashes(events["event_id"], KEYS.event), bar, providers, symbols, window)
