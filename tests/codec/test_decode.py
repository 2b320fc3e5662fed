"""What is accepted, what is rejected and why; the formats agree; a bad record costs none of its neighbours."""

from __future__ import annotations

from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.bars import BarDecoder
from contracts.batch import MicroBatch
from contracts.frames import EVENTS, REFUSED
from contracts.record import ARROW, JSON, MSGPACK
from tests.codec.bombs import compressed, ticks
from tests.codec.event_cases import BROKEN, GOOD
from tests.codec.stored_records import (
    BAR,
    DECODER,
    HEARTBEAT,
    NOW_MS,
    SECOND,
    TICK,
    Stored,
    as_arrow,
    as_json,
    as_msgpack,
    decode,
    fetch,
)


def outcome(batch: MicroBatch) -> list[tuple[str, str]]:
    return batch.rejects.select("reason", "error").rows()


@pytest.mark.parametrize("encoded", [as_json, as_msgpack])
@pytest.mark.parametrize(("change", "error"), BROKEN)
def test_what_breaks_the_contract_is_rejected_with_its_reason(change: dict[str, Any], error: str, encoded: Any) -> None:
    record = encoded(TICK | change)
    batch = decode(as_json(TICK), record, as_json(BAR))
    assert outcome(batch) == [("contract", error)]
    assert batch.rejects["value"].to_list() == [record.payload]
    assert batch.events["offset"].to_list() == [0, 2]
    assert batch.outcomes.rejected == 1


def compressed_ticks(count: int) -> Stored:
    return Stored(compressed(ticks(count)), ARROW)


@pytest.mark.parametrize("record", [as_json(TICK), as_msgpack(TICK), as_arrow(ticks(3)), compressed_ticks(3)])
@pytest.mark.parametrize("more", ["again", "junk"])
def test_what_follows_a_value_is_not_left_unread(record: Stored, more: str) -> None:
    """A second stream behind the first, say: whoever joins two files sends that."""
    assert not outcome(decode(record))  # and the layout is known from now on
    value = record.payload or b""
    both = Stored(value + (value if more == "again" else b"junk" * 100), record.content_type)
    batch = decode(as_json(TICK), both, as_json(BAR))
    assert [reason for reason, _ in outcome(batch)] == ["undecodable"]
    assert batch.rejects["value"].to_list() == [both.payload]
    assert batch.events["offset"].to_list() == [0, 2]


def test_everything_broken_at_once_leaves_every_neighbour_and_every_reason() -> None:
    records = [record for change, _ in BROKEN for record in (as_json(TICK | change), as_msgpack(BAR))]
    batch = decode(*records)
    assert outcome(batch) == [("contract", error) for _, error in BROKEN]
    assert batch.events["offset"].to_list() == list(range(1, len(records), 2))
    assert batch.rejects["offset"].to_list() == list(range(0, len(records), 2))


@pytest.mark.parametrize("encoded", [as_json, as_msgpack])
@pytest.mark.parametrize("change", GOOD)
def test_what_keeps_the_contract_is_accepted_as_it_is(change: dict[str, Any], encoded: Any) -> None:
    event = change if change.get("kind") == "heartbeat" else TICK | change
    batch = decode(encoded(event))
    assert outcome(batch) == []
    row = batch.events.row(0, named=True)
    for name in (*"cv", "seq", "provider", "symbol", "kind"):
        assert row[name] == event.get(name)
    assert [row[name] for name in "ohl"] == [event[name] if event["kind"] == "bar" else None for name in "ohl"]
    assert batch.events.schema == EVENTS
    assert batch.rejects.schema == REFUSED


@pytest.mark.parametrize(
    ("src_ts", "milliseconds", "is_future"),
    [
        ("2025-10-24T14:02:06Z", NOW_MS, False),
        ("2025-10-24T14:02:06.000000001Z", NOW_MS, True),
        ("2025-10-24T14:02:06Z", NOW_MS - 1, True),
        ("2100-01-01T00:00:00Z", NOW_MS, True),
        ("2100-01-01T00:00:00Z", -1, False),  # a record without a timestamp cannot judge
        ("2100-01-01T00:00:00Z", 0, False),
        ("2100-01-01T00:00:00Z", 2**63 - 1, False),
        ("2100-01-01T00:00:00Z", -(2**63), False),
        ("1970-01-01T00:00:05.001Z", 1, False),
        ("1970-01-01T00:00:05.001000001Z", 1, True),
    ],
)
def test_the_future_is_measured_by_the_records_own_time(src_ts: str, milliseconds: int, is_future: bool) -> None:
    batch = decode(as_json(TICK | {"src_ts": src_ts}, milliseconds=milliseconds))
    ahead = [("future", "src_ts is too far ahead of the record's own timestamp")]
    assert outcome(batch) == (ahead if is_future else [])


@pytest.mark.parametrize("kind", [HEARTBEAT, BAR])
def test_a_heartbeat_or_a_bar_from_the_future_is_refused_as_well(kind: dict[str, Any]) -> None:
    assert decode(as_json(kind | {"src_ts": "2025-10-24T14:02:07Z"})).rejects["reason"].to_list() == ["future"]


UNDECODABLE: list[Any] = [
    None,
    b"",
    b"{",
    b'{"c": 1.0',
    b'{"c": NaN}',
    b'{"c": Infinity}',
    b'{"c": 1e999}',
    b'{"c": "1.0"}',
    b'{"c": true}',
    b'{"seq": 1.5}',
    b'{"seq": 9223372036854775808}',
    b'{"symbol": 5}',
    b'{"symbol": "\xff\xfe"}',
    b'{"symbol": "\\ud800"}',
    b'{"src_ts": 1761314521}',
    b'{"ver": 2}',
    b"{} {}",
    b"[]",
    b"null",
    b"42",
    b"\xef\xbb\xbf{}",
    b"\x00\x01\x02junk",
    b'{"x":' + b"[" * 100_000,
    b"x" * 1_000_000,
]


@pytest.mark.parametrize("payload", UNDECODABLE)
@pytest.mark.parametrize("content_type", [None, JSON, MSGPACK, ARROW, "text/plain", "", "\udcff"])
def test_what_cannot_be_decoded_is_rejected_as_it_came(payload: bytes | None, content_type: str | None) -> None:
    header = content_type.encode("utf-8", "surrogateescape") if content_type else None
    bad = [Stored(payload, header) for _ in range(2)]
    batch = decode(as_json(TICK), bad[0], as_msgpack(TICK), bad[1], as_json(HEARTBEAT))
    assert batch.rejects["reason"].to_list() == ["undecodable", "undecodable"]
    assert batch.rejects["value"].to_list() == [payload, payload]
    assert batch.rejects["key"].to_list() == [None, None]
    assert batch.events["offset"].to_list() == [0, 2, 4]
    assert all(error and "\n" not in error and len(error) <= 500 for error in batch.rejects["error"])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", list("ohlcv"))
def test_a_number_that_is_not_finite_is_rejected(name: str, value: float) -> None:
    batch = decode(as_msgpack(BAR | {name: value}), as_msgpack(BAR))
    assert outcome(batch) == [
        ("contract", f"{name} is not a finite number of at most {'1e18' if name == 'v' else '1e15'}")
    ]
    assert batch.events.height == 1


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", " application/json ", None],
)
def test_json_goes_by_many_spellings(content_type: str | None) -> None:
    payload = b" " + msgspec.json.encode(TICK)  # does not start with a brace, so the header is asked
    assert decode(Stored(payload, content_type)).events.height == 1


@pytest.mark.parametrize("content_type", [MSGPACK, "APPLICATION/MSGPACK", "application/msgpack; version=5"])
@pytest.mark.parametrize("name", ["content-type", "content_type"])
def test_the_header_may_be_spelled_in_two_ways_and_its_value_in_more(name: str, content_type: str) -> None:
    assert decode(Stored(msgspec.msgpack.encode(TICK), content_type, name)).events.height == 1


@pytest.mark.parametrize("content_type", [MSGPACK, ARROW, "avro"])
def test_a_brace_means_json_whatever_the_header_says(content_type: str) -> None:
    assert decode(Stored(msgspec.json.encode(TICK), content_type)).events.height == 1


def test_an_unknown_content_type_is_named() -> None:
    batch = decode(Stored(b"\x00\x00\x00\x00\x01avro", "application/avro"))
    assert batch.rejects["error"][0].startswith("content type 'application/avro' is none of application/json")
    assert batch.rejects["content_type"].to_list() == ["application/avro"]


def test_a_tombstone_is_called_so_with_what_to_do_and_nothing_else_is() -> None:
    batch = decode(as_json(TICK), Stored(None), Stored(b""), as_json(TICK))
    assert batch.events["offset"].to_list() == [0, 3]
    (_, tombstone), (_, empty) = outcome(batch)
    assert "is a tombstone" in tombstone
    assert "; send corrections as new records" in tombstone
    assert "\n" not in tombstone
    assert "tombstone" not in empty


def test_a_tombstone_among_bars_is_called_so_too() -> None:
    (error,) = BarDecoder(2 * SECOND).decode_all([fetch([Stored(None)])]).rejects["error"]
    assert "is a tombstone" in error


def test_a_reject_says_how_to_read_it() -> None:
    spaced = Stored(b"\n" + msgspec.json.encode(TICK | {"v": -1}))
    batch = decode(as_json(TICK | {"v": -1}), as_msgpack(TICK | {"v": -1}), spaced)
    assert batch.rejects["content_type"].to_list() == [JSON, MSGPACK, JSON]
    assert batch.rejects["key"].to_list() == [b"\xff key", None, b"\xff key"]


def test_an_absent_id_is_derived_from_what_there_is() -> None:
    without = {name: value for name, value in TICK.items() if name != "event_id"} | {"symbol": "A|B"}
    batch = decode(
        as_json(without | {"seq": 7}),
        as_json(without),
        as_json(without | {"seq": 7, "src_ts": "2025-10-24T14:02:01.000000001Z"}),
        as_json(HEARTBEAT),
        as_json(TICK),
    )
    assert batch.events["event_id"].to_list() == [
        "feed|A\\|B|2025-10-24T14:02:01.000000Z|7",
        "feed|A\\|B|2025-10-24T14:02:01.000000Z|@1.0",
        "feed|A\\|B|2025-10-24T14:02:01.000000001Z|7",
        "feed||2025-10-24T14:02:01.000000Z|@3.0",
        "e1",
    ]


def test_an_empty_fetch_makes_an_empty_batch() -> None:
    batch = decode()
    assert (batch.events.height, batch.rejects.height, batch.topic, batch.partition) == (0, 0, "events", 3)
    assert batch.events.schema == EVENTS


_leaf: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5)
)
_anything: st.SearchStrategy[object] = (
    _leaf | st.lists(_leaf, max_size=2) | st.dictionaries(st.text(max_size=3), _leaf, max_size=2)
)
_changes: st.SearchStrategy[dict[str, object]] = st.dictionaries(
    st.sampled_from([*BAR, "seq", "ver"]), _anything, max_size=3
)
_bytes: st.SearchStrategy[bytes] = st.builds(
    lambda data, place, junk: data[: place % (len(data) + 1)] + junk + data[place % (len(data) + 1) + len(junk) :],
    st.sampled_from([msgspec.json.encode(BAR), msgspec.msgpack.encode(BAR)]),
    st.integers(0, 400),
    st.binary(max_size=4),
)
_types: st.SearchStrategy[str | None] = st.sampled_from([None, JSON, MSGPACK, ARROW, "x"])


def _encoded(change: dict[str, Any], is_json: bool) -> bytes:
    event = BAR | change
    return msgspec.json.encode(event) if is_json else msgspec.msgpack.encode(event)


_payloads: st.SearchStrategy[bytes | None] = (
    st.none() | _bytes | st.binary(max_size=30) | st.builds(_encoded, _changes, st.booleans())
)


@given(st.lists(st.builds(Stored, _payloads, _types), max_size=12))
def test_whatever_comes_is_accepted_or_rejected_exactly_once(records: list[Stored]) -> None:
    batch = decode(*records)
    accepted, rejected = batch.events["offset"].to_list(), batch.rejects["offset"].to_list()
    assert sorted(accepted + rejected) == list(range(len(records)))
    assert accepted == sorted(accepted)
    assert rejected == sorted(rejected)
    assert batch.rejects["value"].to_list() == [records[offset].payload for offset in rejected]
    assert batch.outcomes.rejected == len(rejected)
    assert batch.events.select("provider", "kind", "src_ts", "event_id").null_count().sum_horizontal()[0] == 0


@given(
    st.lists(st.builds(Stored, _payloads, _types) | st.builds(as_json, st.just(BAR)), max_size=12), st.integers(0, 12)
)
def test_what_a_record_becomes_does_not_depend_on_its_neighbours(records: list[Stored], place: int) -> None:
    whole = decode(*records)
    first, second = fetch(records[:place]), fetch(records[place:])
    for parts in ([DECODER.decode(first), DECODER.decode(second)], [DECODER.decode_all([first, second])]):
        assert pl.concat([part.events.drop("record") for part in parts]).equals(whole.events.drop("record"))
        assert pl.concat([part.rejects for part in parts]).equals(whole.rejects)
        for part in parts:
            given_bytes = [part.payloads[record] for record in part.events["record"]]
            assert given_bytes == [records[offset].payload for offset in part.events["offset"]]


def test_numbers_are_read_to_the_last_bit() -> None:
    numbers = [0.1, 1 / 3, 123456.789012345, 5e-324, 999_999_999_999_999.9, 1e15, 1e-9, 1e-18]
    assert decode(*(as_json(TICK | {"c": number}) for number in numbers)).events["c"].to_list() == numbers


def test_times_are_nanoseconds() -> None:
    batch = decode(as_json(TICK | {"src_ts": "2025-10-24T16:02:01.123456789+02:00"}))
    assert batch.events["src_ts"].to_list() == [NOW_MS // 1_000 * SECOND + 123_456_789]
