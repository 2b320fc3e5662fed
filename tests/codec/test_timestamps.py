"""Times as text: the parser agrees with a regular expression and `datetime` on whatever looks like a time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codec.timestamps import parse_timestamps
from contracts.timestamps import format_timestamps, parse_timestamp

GRAMMAR = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000_000
LAST_SECOND = 2**63 // SECOND - 1


def oracle(text: str | None) -> int | None:
    match = GRAMMAR.fullmatch(text or "")
    if match is None:
        return None
    *fields, fraction, sign, hours, minutes = match.groups(default="0")
    year, month, day, hour, minute, second = map(int, fields)
    try:
        zone = timezone((-1 if sign == "-" else 1) * timedelta(hours=int(hours), minutes=int(minutes)))
        if int(minutes) > 59:
            return None
        local = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    since = local - EPOCH
    seconds = since.days * 86_400 + since.seconds - int(zone.utcoffset(None).total_seconds())
    return seconds * SECOND + int(fraction.ljust(9, "0")) if abs(seconds) <= LAST_SECOND else None


def parsed(texts: list[str | None]) -> list[int | None]:
    return parse_timestamps(pl.Series(texts, dtype=pl.String)).to_list()


digits: st.SearchStrategy[str] = st.text("0123456789", min_size=0, max_size=10)
zones: st.SearchStrategy[str] = st.sampled_from(
    ["Z"] * 4 + ["", "z", "+00:00", "-00:00", "+05:30", "-23:59", "+24:00", "+01:60", "+0100", "+01"]
)
plausible: st.SearchStrategy[str] = st.builds(
    lambda year, month, day, hour, minute, second, fraction, zone: (
        f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}"
    ),
    st.integers(1600, 2400) | st.integers(0, 9999),
    st.integers(0, 13),
    st.integers(0, 32),
    st.integers(0, 24),
    st.integers(0, 60),
    st.integers(0, 60),
    st.just("") | digits.map(lambda text: f".{text}"),
    zones,
)
mangled: st.SearchStrategy[str] = st.builds(
    lambda text, place, letter: text[: place % len(text)] + letter + text[place % len(text) + 1 :],
    plausible,
    st.integers(0, 40),
    st.sampled_from(["", " ", "-", ":", "T", "Z", ".", "0", "9", "x", "/", "\0", "é", "０"]),  # noqa: RUF001
)


@given(st.lists(st.none() | plausible | mangled | st.text(max_size=40), max_size=40))
@example(["2262-04-11T23:47:15.999999999Z", "2262-04-11T23:47:16Z", "1677-09-21T00:12:45Z", "1677-09-21T00:12:44Z"])
@example(["2262-04-11T23:47:15-00:01", "2262-04-11T23:48:15+00:01", "1677-09-21T00:12:45+00:01"])
@example(["2262-04-11T23:46:16.854775808-00:01"])  # 2**63 exactly
@example(["2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2000-02-29T00:00:00Z"])
@example(["0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1969-12-31T23:59:59.999999999Z"])
def test_every_text_is_read_as_the_oracle_reads_it(texts: list[str | None]) -> None:
    assert parsed(texts) == [oracle(text) for text in texts]


@given(st.lists(st.integers(-LAST_SECOND, LAST_SECOND - 1), min_size=1), st.integers(0, SECOND - 1))
def test_what_is_written_reads_back_to_the_nanosecond(seconds: list[int], fraction: int) -> None:
    times = [second * SECOND + fraction for second in seconds]
    texts = format_timestamps(pl.Series(times, dtype=pl.Int64))
    assert parsed(texts.to_list()) == times == [oracle(text) for text in texts]


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (1_761_314_521_234_567_000, "2025-10-24T14:02:01.234567Z"),
        (1_761_314_521_234_567_001, "2025-10-24T14:02:01.234567001Z"),
    ],
)
def test_times_are_written_with_six_digits_or_nine(time: int, text: str) -> None:
    assert format_timestamps(pl.Series([time], dtype=pl.Int64)).to_list() == [text]


def test_fine_and_coarse_times_are_written_side_by_side() -> None:
    texts = format_timestamps(pl.Series([1_000, 1, None], dtype=pl.Int64)).to_list()
    assert texts == ["1970-01-01T00:00:00.000001Z", "1970-01-01T00:00:00.000000001Z", None]


def test_a_slice_and_a_column_of_many_chunks_are_read_like_any_other() -> None:
    texts = pl.Series(["2025-01-01T00:00:00Z", None, "junk", "2025-01-01T00:00:00.5+01:00"])
    chunked = pl.concat([texts, texts.slice(1)], rechunk=False)
    expected = [oracle(text) for text in chunked]
    assert parse_timestamps(chunked).to_list() == expected
    assert parse_timestamps(chunked.slice(3)).to_list() == expected[3:]
    assert parse_timestamps(texts.gather([3, 1, 3, 0])).to_list() == [oracle(texts[i]) for i in (3, 1, 3, 0)]


@pytest.mark.parametrize("texts", [[], [None], [None, None], ["", ""]])
def test_a_column_without_a_single_text_is_read_too(texts: list[str | None]) -> None:
    times = parse_timestamps(pl.Series("t", texts, dtype=pl.String))
    assert times.name == "t"
    assert times.dtype == pl.Int64
    assert times.to_list() == [None] * len(texts)


def test_a_text_of_a_megabyte_is_no_time() -> None:
    assert parsed(["2025-01-01T00:00:00." + "1" * 1_000_000 + "Z", "2025-01-01T00:00:00Z"])[0] is None


def test_a_single_text_is_refused_by_name() -> None:
    assert parse_timestamp("1970-01-01T00:00:01Z") == SECOND
    with pytest.raises(ValueError, match="'2025-01-01T00:00:00' is not a time such as"):
        parse_timestamp("2025-01-01T00:00:00")
