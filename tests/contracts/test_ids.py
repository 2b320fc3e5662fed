from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from contracts import frames
from contracts.ids import are_plain, joined_id, joined_ids, joined_text, plainly_joined_id, with_event_ids

texts: st.SearchStrategy[str] = st.text(st.sampled_from("ab|\\.*$"), max_size=4)


def joined(rows: list[tuple[str, str, str]]) -> list[str]:
    frame = pl.DataFrame(rows, schema=["x", "y", "z"], orient="row")
    return frame.select(joined_id([pl.col(name) for name in frame.columns])).to_series().to_list()


def split(identifier: str) -> tuple[str, ...]:
    """The parts, read as a consumer would: a backslash takes the next character as it is."""
    parts, escaped = [""], False
    for character in identifier:
        if not escaped and character == "|":
            parts.append("")
        elif escaped or character != "\\":
            parts[-1] += character
        escaped = not escaped and character == "\\"
    return tuple(parts)


def test_plain_parts_are_joined_as_they_are() -> None:
    assert joined([("feed", "SPY", "183")]) == ["feed|SPY|183"]


def test_the_separator_and_the_escape_are_escaped() -> None:
    assert joined([("a|b", "c\\", "d")]) == ["a\\|b|c\\\\|d"]


@given(st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=20))
def test_every_id_tells_its_parts(rows: list[tuple[str, str, str]]) -> None:
    assert [split(identifier) for identifier in joined(rows)] == rows


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=5))
def test_plain_parts_need_no_escape_and_no_others_count_as_plain(rows: list[tuple[str, str]]) -> None:
    frame = pl.DataFrame(rows, schema=["x", "y"], orient="row")
    parts = [pl.col("x"), pl.col("y")]
    is_same = frame.select(joined_id(parts)).equals(frame.select(plainly_joined_id(parts)))
    assert are_plain(*frame) == is_same


@given(st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=5))
def test_columns_joined_at_once_are_joined_alike(rows: list[tuple[str, str, str]]) -> None:
    columns = [pl.Series("same name", column, pl.String) for column in zip(*rows, strict=True)]
    assert joined_ids(*columns).to_list() == joined(rows)
    assert [joined_text(*row) for row in rows] == joined(rows)


def test_an_event_without_an_id_gets_one_that_tells_its_parts() -> None:
    rows = [
        {"provider": "a|b", "symbol": "SPY", "src_ts": 0, "seq": 7},
        {"provider": "feed", "symbol": None, "src_ts": 1_500, "seq": None, "offset": 3, "row": 2},
        {"provider": "feed", "symbol": "SPY", "src_ts": 0, "seq": 7, "event_id": "mine"},
    ]
    made = with_event_ids(pl.DataFrame(rows, schema=frames.EVENTS))["event_id"].to_list()
    assert made == [r"a\|b|SPY|1970-01-01T00:00:00.000000Z|7", "feed||1970-01-01T00:00:00.000001500Z|@3.2", "mine"]
    alone = with_event_ids(pl.DataFrame(rows[1:2], schema=frames.EVENTS))["event_id"].to_list()
    assert alone == made[1:2]
