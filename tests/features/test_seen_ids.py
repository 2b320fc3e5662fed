"""The set of ids agrees with a plain one, whatever is added, looked up and forgotten in whatever batches."""

from __future__ import annotations

import pickle

import numpy as np
import numpy.typing as npt
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from features.seen_ids import Ids, SeenIds

NO_WATERMARK = np.array([-(2**62)])


def hashes(numbers: list[int]) -> npt.NDArray[np.uint64]:
    return np.array(numbers, np.uint64)


def pairs(high: list[int], low: list[int]) -> Ids:
    return Ids(hashes(high), hashes(low))


def known_to(ids: SeenIds, high: list[int], low: list[int]) -> list[bool]:
    found: list[bool] = (~ids.fresh(pairs(high, low), np.arange(len(high)))).tolist()
    return found


def add(ids: SeenIds, high: list[int], low: list[int], expiry: int, watermark: int = 0, provider: int = 0) -> None:
    count = len(high)
    watermarks = np.full(provider + 1, watermark)
    ids.add(pairs(high, low), np.arange(count), np.full(count, expiry), np.full(count, provider), watermarks)
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
        alive = [number for number, expiry in added.items() if expiry >= now]
        assert all(known_to(ids, [n * 7919 % 1_000 for n in alive], alive))
        assert len(ids) <= 4 * len(alive)


def test_an_id_expires_by_the_watermark_of_its_own_provider() -> None:
    ids = SeenIds()
    slow, fast = 0, 1
    watermarks = np.array([0, 1_000])
    ids.add(pairs([1, 2, 3], [1, 2, 3]), np.arange(3), np.full(3, 500), np.array([slow, fast, fast]), watermarks)
    ids.forget(watermarks)
    assert known_to(ids, [1, 2, 3], [1, 2, 3]) == [True, False, False]


def test_a_snapshot_stays_as_it_was() -> None:
    ids = SeenIds()
    add(ids, [5, 1], [5, 1], expiry=10)
    state = ids.snapshot()
    before = pickle.dumps(state)
    add(ids, [3, 9], [3, 9], expiry=10)
    assert pickle.dumps(state) == before
    restored = SeenIds()
    restored.restore(pickle.loads(before))
    assert known_to(restored, [1, 3, 5, 9], [1, 3, 5, 9]) == [True, False, True, False]


def test_nothing_is_known_to_an_empty_set_and_nothing_is_looked_up() -> None:
    ids = SeenIds()
    assert known_to(ids, [1], [1]) == [False]
    add(ids, [], [], expiry=1)
    add(ids, [1], [1], expiry=1)
    assert known_to(ids, [], []) == []


def test_ids_that_come_one_by_one_lie_in_a_few_arrays() -> None:
    ids = SeenIds()
    for number in range(3_000):
        ids.add(pairs([number * 7919 % 3_000], [number]), np.array([0]), np.array([1]), np.array([0]), NO_WATERMARK)
    assert len(ids) == 3_000
    assert len(ids.snapshot()) <= 12


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


names = st.text(st.sampled_from("ab|\0"), max_size=3)


@given(st.lists(st.tuples(names, names, names, st.integers(-1, 1)), min_size=1, max_size=30))
def test_ids_tell_events_windows_symbols_and_providers_apart(rows: list[tuple[str, str, str, int]]) -> None:
    events = pl.DataFrame(rows, schema=["provider", "symbol", "event_id", "window"], orient="row")
    marks = Ids.of(events, events["window"].to_numpy())
    distinct = len(set(rows))
    assert len(set(marks.high.tolist())) == len(set(marks.low.tolist())) == distinct
    last = Ids.of(events[-1:], events["window"].to_numpy()[-1:])
    assert (last.high[0], last.low[0]) == (marks.high[-1], marks.low[-1])
