"""Random logs of one partition: several feeds, duplicates, disorder, late events, amendments, heartbeats."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeVar

from hypothesis import strategies as st

from contracts.frames import BUY, SELL
from features.bars.window_config import WindowConfig

Row = dict[str, Any]
T = TypeVar("T")

MS = 1_000_000
CONFIG = WindowConfig(window_ms=10, allow_late_ms=3, amend_ms=15, flush_timeout_ms=10, max_future_ms=20)

STARTS = (1_700_000_000_000, -60)  # milliseconds; the second one is just before the epoch
SPECIAL = (0.0, -0.0, 0.1, 0.2, 0.3, 1e-9, 2.1e-10, 1e-18, 1e12, -1e12, 1e15, -1e15, 999_999_999_999_999.9)

# Few draws for each row, and everything else out of one number: drawing a log takes longer than anything else.
_KINDS: st.SearchStrategy[str] = st.sampled_from(["tick"] * 8 + ["bar", "heartbeat"])
_FEEDS: st.SearchStrategy[tuple[str, str]] = st.sampled_from(
    [("a", "X")] * 4 + [("a", "Y"), ("a", "Z|"), ("b", "X"), ("b", "Y")]
)
_MOVES: st.SearchStrategy[tuple[int, int]] = st.tuples(
    st.sampled_from([0, 0, 0, 1, 2, 3, 5, 8, 12, 40]), st.sampled_from([0, 0, 0, 0, 1, 4, 9, 9, 14, 14, 18, 27, 60])
)
_NUMBERS: st.SearchStrategy[int] = st.integers(0, 2**20)


def _row(kind: str, feed: tuple[str, str], move: tuple[int, int], event_id: int, number: int) -> Row:
    chance = random.Random(number)
    o, c, v = (_price(chance) for _ in range(3))
    low, high = sorted((o, c))
    return {
        "kind": kind,
        "provider": feed[0],
        "symbol": feed[1],
        "jump": move[0],
        "behind": move[1],
        "seq": (None, None, 0, 1, 2)[number % 5],
        "event_id": str(event_id),
        "v": abs(v),
        "side": None,
        "o": o,
        "h": high,
        "l": low,
        "c": c,
    }


def _price(chance: random.Random) -> float:
    """Anything that an event may hold, often what is awkward to add up, and often small and positive."""
    match chance.randrange(4):
        case 0:
            return chance.choice(SPECIAL)
        case 1:
            return chance.uniform(-1e15, 1e15)
        case _:
            return round(chance.uniform(90, 110), chance.randrange(1, 9))


ROWS: st.SearchStrategy[Row] = st.builds(_row, _KINDS, _FEEDS, _MOVES, st.integers(0, 25), _NUMBERS)


# The same, of which some tell their side, as trades in envelopes do.
SIDED_ROWS: st.SearchStrategy[Row] = st.builds(
    lambda row, side: row | {"side": side}, ROWS, st.sampled_from([None, None, BUY, SELL])
)


def as_log(drawn: Sequence[Row], start: int) -> list[Row]:
    """Rows with offsets and times: the market moves on by `jump` ms, the event lies `behind` ms behind it."""
    log, now = [], start
    for offset, row in enumerate(drawn):
        now += row["jump"]
        place = {"offset": 3 * offset, "row": 0, "record": 0, "record_ts": now * MS}
        log.append({**row, **place, "src_ts": (now - row["behind"]) * MS})
    return log


def logs(size: int, rows: st.SearchStrategy[Row] = ROWS, *, least: int = 0) -> st.SearchStrategy[list[Row]]:
    """Logs of `least` to `size` rows: at least half of them long, which lists of any length seldom are."""
    any_length, long = st.lists(rows, min_size=least, max_size=size), st.lists(rows, min_size=size // 2, max_size=size)
    return st.builds(as_log, any_length | long, st.sampled_from(STARTS))


def cut(items: Sequence[T], places: Sequence[int]) -> list[Sequence[T]]:
    """The items in pieces, one more than places; some may be empty."""
    edges = [0, *sorted(place % (len(items) + 1) for place in places), len(items)]
    return [items[start:end] for start, end in pairwise(edges)]
