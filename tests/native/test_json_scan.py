"""The scan takes in what is plainly a tick, and finds in it what the general decoder finds."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codec.tick_formats import EVENT_TICKS
from contracts.record import Records
from native.json_scan import Found, scan
from tests.codec.mutations import as_json, damaged
from tests.codec.stored_records import TICK, Stored, decode

TEXT = json.dumps(TICK)


def scanned(*payloads: str | None) -> Found:
    """Of records without a timestamp of their own."""
    records = [Stored(None if text is None else text.encode(), milliseconds=-1) for text in payloads]
    return scan(Records.of(records), EVENT_TICKS.scanner, 0)


def taken(*payloads: str) -> list[bool]:
    found: list[bool] = scanned(*payloads).is_plain.tolist()
    return found


def tick(**changes: Any) -> str:
    return json.dumps(TICK | changes)


def raw(**changes: str) -> str:
    """A tick with fields that are given as they stand in the text."""
    fields = {name: json.dumps(value) for name, value in TICK.items()} | changes
    return "{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}"


@pytest.mark.parametrize(
    "payload",
    [
        TEXT,
        json.dumps(TICK, separators=(",", ":")),
        json.dumps(TICK, indent=4) + "\n",
        json.dumps(dict(reversed(TICK.items()))),
        tick(seq=7, event_id="x" * 256, ver=1),
        tick(seq=None, event_id=None),
        tick(ingest_ts="2025-10-24T14:02:01Z", depth=3, is_open=True, is_old=False, venue=None, a_long_name=-1.5e-7),
        *(raw(src_ts=f'"2025-10-24T14:02:01{rest}"') for rest in ("Z", ".1Z", ".123456789+00:00", "-05:30")),
        *(raw(c=number) for number in ("0", "-0", "-0.0", "1e3", "1E+3", "12.50e-1", "1e15", "0.1234567890123456789")),
        *(raw(v=number) for number in ("0", "1e-300", "100000000000000000000e-9", "999999999999.99999999999")),
    ],
)
def test_a_plain_tick_is_taken_in(payload: str) -> None:
    assert taken(payload) == [True]


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "{}",
        "[]",
        TEXT[:-1],
        TEXT + "}",
        TEXT + ",",
        TEXT + "\0",
        TEXT[:-1] + ",}",
        TEXT[:-1] + ', "c": 1}',
        TEXT.replace(":", "", 1),
        tick(kind="bar"),
        tick(ver=2),
        TEXT.replace('"provider"', '"provider_id"'),
        TEXT.replace('"provider"', '"provide"'),
        tick(seq=1.0),
        tick(seq=10**18),
        tick(c=None),
        tick(v="1"),
        tick(symbol=1),
        tick(symbol=""),
        tick(symbol="S" * 257),
        tick(symbol="é"),
        tick(src_ts=1),
        tick(book={"bid": 1}),
        raw(symbol='"\t"'),
        raw(symbol='"\x7f\u0080"'),
        raw(provider="nul"),
        raw(other="tru"),
        raw(other="NaN"),
        *(raw(c=number) for number in ("", "-", "+1", "01", "-01", "1.", ".5", "1.e3", "1e", "1e+", "1..2", "0x1")),
        *(raw(src_ts=f'"2025-10-24T14:02:01{rest}"') for rest in ("", ".Z", ".1234567890Z", "z", "+5:00", "+24:00")),
        *(raw(src_ts=f'"{time}Z"') for time in ("2025-02-29T00:00:00", "2025-10-24 14:02:01", "2025-10-24T14:60:01")),
    ],
)
def test_what_is_not_plainly_a_tick_is_left_to_others(payload: str) -> None:
    assert taken(payload, TEXT) == [False, True]


def both_ways(payload: bytes) -> list[list[tuple[Any, ...]]]:
    """The event as it is decoded, and as it is when it cannot be taken for plain, which a space before it sees to."""
    return [decode(Stored(text)).events.drop("record").rows() for text in (payload, b" " + payload)]


def same(one: object, other: object) -> bool:
    """Equal to the last bit: -0.0 is not 0.0."""
    return repr(one) == repr(other)


@given(st.randoms(use_true_random=False))
def test_whatever_is_taken_in_is_what_the_general_decoder_finds(chance: random.Random) -> None:
    payload = as_json(chance)[0]
    if chance.random() < 0.5:
        payload = damaged(chance, payload) or b""
    plain, general = both_ways(payload)
    assert same(plain, general)


JSON_NUMBER = r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?"
NUMBERS: st.SearchStrategy[str] = st.floats(-1e15, 1e15).map(repr) | st.from_regex(JSON_NUMBER, fullmatch=True)


@given(NUMBERS, NUMBERS)
@example("9007199254740993", "1")
@example("123456789012.34567890123", "1e-23")
@example("-0", "-0.0")
@example("0." + "0" * 10_020 + "1e10030", "1" + "0" * 10_020 + "e-10010")
@settings(max_examples=300)
def test_numbers_are_read_to_the_last_bit(price: str, size: str) -> None:
    plain, general = both_ways(raw(c=price, v=size).encode())
    assert same(plain, general)


@pytest.mark.parametrize("name", ["event_id_origin", "event_id2", "event_i", "providers", "symbol_s", "seqs", "cc"])
def test_a_field_that_begins_like_another_is_not_the_other(name: str) -> None:
    payload = tick(seq=3, **{name: "abc"})
    assert taken(payload) == [True]
    plain, general = both_ways(payload.encode())
    assert same(plain, general)


def test_rows_do_not_depend_on_their_neighbours() -> None:
    payloads = [TEXT, None, "", "{", TEXT * 2, tick(seq=3)]
    together = scanned(*payloads)
    assert together.is_plain.tolist() == [True, False, False, False, False, True]
    for row in (0, 5):
        alone = scanned(payloads[row])
        assert values(alone, 0) == values(together, row)


def values(found: Found, row: int) -> list[Any]:
    """What is kept of a record, without addresses."""
    numbers = [found.numbers(name)[row] for name in ("c", "v")]
    integers = [found.integers(name)[row] for name in ("src_ts", "seq")]
    return [*numbers, *integers, found.has("seq")[row], *(found.texts(name)[1][row] for name in ("symbol", "event_id"))]
