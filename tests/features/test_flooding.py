"""A sender who picks texts and times so that they fall on one place of a table makes it no slower than others do.

What is picked here all fell on one place while places followed from fixed numbers. Now they follow from keys that
nobody knows, so the longest run of places that a search may have to walk along stays short.
"""

from __future__ import annotations

import random
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.batch import MicroBatch
from contracts.frames import EVENTS
from features.bars.accumulate import NOWHERE, collect
from features.bars.accumulators import ACCUMULATOR, BarIds, table
from features.bars.contributions import contributions
from features.bars.windows import Windows
from native.keyed_hash import new_key
from native.strings import Numbering
from tests.event_logs import CONFIG

COUNT = 20_000
LONGEST = 100  # of a table that is half full; were there no keys, it would be as many as there are texts
SECRETS = (0xA0761D6478BD642F, 0xE7037ED1A0B428DB, 0x8EBC6AF09C88C6E3, 0x1D8E4E27C47D124F)
ODD = 0x9E3779B97F4A7C15
WORD = 2**64 - 1


def test_event_ids_that_had_one_hash_are_spread_over_the_table() -> None:
    windows, ids = Windows(CONFIG), texts_of_one_hash(COUNT)
    answer = windows.step(batch([{"event_id": text, "offset": offset} for offset, text in enumerate(ids)]))
    assert answer.outcomes.accepted == COUNT
    assert longest_run(windows._seen._places) <= LONGEST


def test_symbols_that_had_one_hash_are_spread_over_the_table() -> None:
    numbering, symbols = Numbering(), texts_of_one_hash(COUNT)
    assert numbering.numbers(pl.Series(symbols)).tolist() == list(range(COUNT))
    assert longest_run(numbering._places) <= LONGEST


def test_windows_that_had_one_place_are_spread_over_the_table() -> None:
    count = 500
    windows = windows_of_one_place(count)
    events = frame([{"offset": offset} for offset in range(count)])
    feeds = np.zeros(count, np.int64)
    made, places = np.empty(count, ACCUMULATOR), table(count)
    rows = np.arange(count)
    assert collect(contributions(events, BarIds(windows, feeds, feeds)), rows, (places, new_key()), made) == count
    assert longest_run(places) <= LONGEST


def test_tables_of_the_same_things_are_not_alike() -> None:
    texts = [f"text {number}" for number in range(100)]
    rows = [{"event_id": text, "symbol": text, "offset": offset} for offset, text in enumerate(texts)]
    one, other = Windows(CONFIG), Windows(CONFIG)
    assert one.step(batch(rows)).outcomes == other.step(batch(rows)).outcomes
    assert one._seen._places.tolist() != other._seen._places.tolist()
    numberings = [Numbering(pl.Series(texts)) for _ in range(2)]
    assert len({tuple(numbering._places.tolist()) for numbering in numberings}) == 2


def batch(rows: list[dict[str, Any]]) -> MicroBatch:
    return MicroBatch(topic="t", partition=0, next_offset=len(rows), events=frame(rows), payloads=[b"{}"] * len(rows))


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    tick = dict.fromkeys(EVENTS) | {"record": 0, "row": 0, "provider": "a", "symbol": "X", "kind": "tick", "src_ts": 0}
    return pl.DataFrame([tick | {"c": 1.0, "v": 1.0, "event_id": "1"} | row for row in rows], schema=EVENTS)


def longest_run(places: npt.NDArray[np.int32]) -> int:
    return max(len(list(run)) for is_taken, run in groupby(places != NOWHERE) if is_taken)


def texts_of_one_hash(count: int) -> list[str]:
    """Texts of 48 characters of which a wyhash with public numbers is one.

    Each 16 bytes are multiplied, one half by the other that the hash so far went into. If this half is the hash, the
    product is 0, whatever the first half: so the eight characters before it can be any.
    """
    chance, length = random.Random(7), 48
    begin = (SECRETS[0] * SECRETS[1] & WORD) ^ length
    so_far = b"\xff"
    while not (so_far.isascii() and so_far.decode().isprintable()):
        first = f"{chance.getrandbits(62):016x}"
        so_far = folded(word(first[:8]) ^ SECRETS[0], word(first[8:]) ^ begin).to_bytes(8, "little")
    texts = [f"{first}{number:08d}{so_far.decode()}{'x' * 16}" for number in range(count)]
    assert len({wyhash(text) for text in texts}) == 1
    return texts


def wyhash(text: str) -> int:
    high = (SECRETS[0] * SECRETS[1] & WORD) ^ len(text)
    for at in range(0, len(text) - 16, 16):
        high = folded(word(text[at : at + 8]) ^ SECRETS[0], word(text[at + 8 : at + 16]) ^ high)
    high = folded(word(text[-16:-8]) ^ SECRETS[2], word(text[-8:]) ^ high)
    return folded(high ^ SECRETS[1], SECRETS[3])


def folded(one: int, other: int) -> int:
    product = one * other
    return (product ^ product >> 64) & WORD


def word(text: str) -> int:
    return int.from_bytes(text.encode(), "little")


def windows_of_one_place(count: int) -> npt.NDArray[np.int64]:
    """Numbers of windows that, multiplied by a public number, agree in as many bits as a table of them has."""
    size = len(table(count))
    windows = np.arange(2 * count * size)
    mixed = (windows.astype(np.uint64) * np.uint64(ODD * ODD & WORD)).astype(np.int64)
    agreeing: npt.NDArray[np.int64] = windows[(mixed ^ (mixed >> 32)) & (size - 1) == 0]
    return agreeing[:count]
