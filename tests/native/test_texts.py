"""Texts have numbers in the order in which they were first seen, and hashes that depend on them and a key only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.bars.symbols import Symbols
from native.keyed_hash import new_key
from native.strings import Numbering, equal, hashes

KEY = new_key()
LENGTHS = (0, 1, 3, 4, 5, 11, 12, 13, 15, 16, 17, 24, 28, 29, 32, 33, 256)
# Alike but for one byte at some place, or for their length: all that a comparison of so many bytes at once may miss.
ALIKE = [
    text
    for length in LENGTHS
    for text in (
        "x" * length,
        *(
            "x" * place + "\0" + "x" * (length - place - 1)
            for place in {0, 3, 4, 7, 8, 12, length // 2, length - 1}
            if 0 <= place < length
        ),
    )
]
TEXTS: st.SearchStrategy[str | None] = st.one_of(st.none(), st.sampled_from(ALIKE), st.text(max_size=20))
COLUMNS: st.SearchStrategy[list[list[str | None]]] = st.lists(st.lists(TEXTS, max_size=40), max_size=8)


def column(texts: Sequence[str | None]) -> pl.Series:
    return pl.Series(texts, dtype=pl.String)


@given(COLUMNS)
def test_each_text_has_the_number_under_which_it_was_first_seen(columns: list[list[str | None]]) -> None:
    numbering, expected = Numbering(), dict[str, int]()
    for texts in columns:
        numbers = [expected.setdefault(text or "", len(expected)) for text in texts]
        assert numbering.numbers(column(texts)).tolist() == numbers
    assert numbering.texts == list(expected)
    assert len(numbering) == len(expected)


def test_numbers_outlive_the_columns_that_they_came_from() -> None:
    numbering = Numbering()
    texts = [f"a symbol that is far from short {number}" for number in range(3_000)]
    for start in range(0, len(texts), 50):
        numbering.numbers(column(texts[start : start + 50]))
    assert numbering.numbers(column(texts[::-1])).tolist() == list(range(len(texts)))[::-1]
    assert Numbering(column(texts)).numbers(column(texts)).tolist() == list(range(len(texts)))


def test_symbols_that_were_restored_are_known_before_any_comes() -> None:
    symbols = Symbols(new_key(), column(["SPY", "QQQ"]))
    assert symbols.texts(np.array([1, 0])).to_list() == ["QQQ", "SPY"]
    assert symbols.ranks(np.array([1, 0])).tolist() == [1, 2]
    assert symbols.numbers(column(["IWM", "QQQ"])).tolist() == [2, 1]
    assert symbols.ranks(np.array([2, 1, 0])).tolist() == [1, 2, 3]
    assert symbols.all == ["SPY", "QQQ", "IWM"]


@pytest.mark.parametrize("texts", [ALIKE, [f"{number}" for number in range(100_000)]])
def test_different_texts_have_different_hashes(texts: list[str]) -> None:
    distinct = list(dict.fromkeys(texts))
    high, low = hashes(column(list(distinct)), KEY)
    assert len(set(high.tolist())) == len(set(low.tolist())) == len(distinct)
    assert not (high == low).any()
    assert not (high == hashes(column(list(distinct)), new_key())[0]).any()


@given(COLUMNS)
def test_a_hash_does_not_depend_on_what_comes_with_a_text_or_where_it_lies(columns: list[list[str | None]]) -> None:
    whole = pl.concat([column([]), *map(column, columns)], rechunk=False)
    found = [hash_.tolist() for hash_ in hashes(whole, KEY)]
    alone = [hashes(column([text]), KEY) for text in whole]
    assert found == [[int(one[which][0]) for one in alone] for which in (0, 1)]
    part = whole.slice(len(whole) // 3)
    assert hashes(part, KEY)[0].tolist() == found[0][len(whole) // 3 :]


@given(st.lists(st.sampled_from([None, "", "tick", "ticks", "bar", "heartbeat", "heartbeats!!!", "tick\0"])))
def test_a_short_text_is_told_from_all_others(texts: list[str | None]) -> None:
    for text in ("tick", "bar", "heartbeat"):
        assert equal(column(texts), text).tolist() == [each == text for each in texts]
