from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from contracts.ids import joined_id

texts = st.text(st.sampled_from("ab|\\.*$"), max_size=4)


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
