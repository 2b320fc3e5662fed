"""Raw messages to envelopes, against an oracle that does it one by one in plain Python."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.envelope import ENVELOPE_V1
from contracts.golden import FOLDER, read_golden
from contracts.message_ids import message_id
from contracts.registry import open_envelope
from contracts.timestamps import parse_timestamp
from normalize.envelopes import Accepted
from normalize.feed import Arrivals, Feed
from normalize.mapping import parse_mapping
from normalize.normalizer import Normalized, Normalizer
from tests.normalize.plain_normalizer import normalized

FEED = Feed("acme", realm="desk", region="EU")
TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
INGEST = 1_762_795_381_000_000_000
FLAT: dict[str, Any] = {
    "type": "trades/v2",
    "event_time": {"path": "t", "unit": "ms"},
    "sequence": "seq",
    "fields": {
        "symbol": "s",
        "price": "p",
        "size": {"path": "q", "scale": 0.001},
        "side": {"path": "m", "values": {True: "sell", False: "buy"}},
        "trade_id": "id",
        "venue": {"value": "ACME"},
    },
}
NESTED: dict[str, Any] = {
    "type": "quotes/v2",
    "each": "data",
    "event_time": "time",
    "event_id": "id",
    "fields": {
        "symbol": "^s",
        "bid": "p",
        "ask": "book.asks[0][0]",
        "ask_size": "book.asks[0][1]",
        "tick_type": "^m",
    },
}
LIST: dict[str, Any] = {
    "type": "gex/levels/v1",
    "event_time": {"path": "[0]", "unit": "s"},
    "fields": {"symbol": "[1]", "asof": {"path": "[0]", "unit": "s"}, "zero_gamma": "[2]", "call_wall": "[3].wall"},
}

PLAIN: dict[str, Any] = {
    "type": "trades/v2",
    "event_time": "t",
    "sequence": "seq",
    "event_id": "own",
    "fields": {
        "symbol": "s",
        "price": "p",
        "size": "q",
        "side": {"path": "m", "values": {"b": "buy", "s": "sell"}},
        "trade_id": "id",
        "venue": {"value": "ACME"},
    },
}
DEEP: dict[str, Any] = {
    "type": "quotes/v2",
    "event_time": {"path": "d.t", "unit": "ms"},
    "fields": {
        "symbol": "d.s",
        "bid": "d.b.p",
        "ask": "d.a.p",
        "tick_type": {"path": "d.m", "values": {True: "A", 2: "B"}},
        "venue": "v",
    },
}

WORDS = st.sampled_from(["SPY", "a|b\\", "é", "x" * 257, "", "a\0"]) | st.text(max_size=3)
NUMBERS = st.integers(-(10**17), 10**17) | st.floats(-1e17, 1e17)
TEXTS = WORDS | NUMBERS.map(str)
TIMES: st.SearchStrategy[Any] = st.sampled_from(
    ["2025-11-10T17:23:00.123456789+01:00", "2025-11-10T17:23:00Z", "2025-11-10T17:23:00", "soon", 2**63, -(2**64)]
)
ANY: st.SearchStrategy[Any] = st.none() | st.booleans() | NUMBERS | TEXTS | st.just([]) | st.just({})


def either(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly what a feed sends, and sometimes anything."""
    return st.one_of(usual, usual, usual, ANY)


def documents(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={name: either(values) for name, values in fields.items()})


PRICES = st.floats(-1e4, 1e4) | st.floats(-1e4, 1e4).map(repr)
SYMBOLS = st.sampled_from(["SPY", "BTC-USD", "a|b\\"])
MS = st.integers(0, 2 * 10**12) | st.integers(0, 2 * 10**12).map(str)
TRADES = documents(
    t=MS, seq=st.integers(0, 99), s=SYMBOLS, p=PRICES, q=st.integers(0, 10**6), m=st.booleans(), id=st.integers(0, 99)
)
ITEMS = documents(
    time=TIMES, id=WORDS, p=PRICES, book=documents(asks=st.lists(st.lists(either(PRICES), max_size=2), max_size=2))
)
FRAMES = documents(s=SYMBOLS, m=WORDS, data=st.lists(either(ITEMS), max_size=3))
PLAIN_TRADES = documents(
    t=TIMES,
    seq=st.integers(0, 99) | st.integers(0, 99).map(str),
    own=st.none() | WORDS,
    s=SYMBOLS,
    p=PRICES,
    q=st.floats(0, 1e6),
    m=st.sampled_from(["b", "s"]),
    id=st.integers(0, 99) | WORDS,
)
SIDES = documents(p=PRICES)
DEEP_QUOTES = documents(d=documents(t=MS, s=SYMBOLS, b=SIDES, a=SIDES, m=st.sampled_from([True, 2])), v=WORDS)
ARRAYS = st.tuples(either(st.floats(0, 2e9)), either(SYMBOLS), either(PRICES), either(documents(wall=PRICES))).map(list)


def raw_of(documents: Sequence[Any]) -> list[bytes]:
    return [json.dumps(document).encode() for document in documents]


def run(mapping: Mapping[str, Any], documents: Sequence[Any], **options: Any) -> Normalized:
    normalizer = Normalizer([parse_mapping(mapping)], FEED, **options)
    return normalizer.normalize(raw_of(documents), arrivals(len(documents)))


def arrivals(count: int) -> Arrivals:
    traces = [TRACE if at % 2 else None for at in range(count)]
    return Arrivals([INGEST + at for at in range(count)], traces, "raw[3]", list(range(70, 70 + count)))


def envelopes(result: Normalized) -> dict[tuple[int, int], bytes]:
    return {
        (record, number): value
        for group in result.accepted
        for record, number, value in zip(group.records, group.numbers, group.values, strict=True)
    }


@pytest.mark.parametrize(
    ("mapping", "documents"),
    [(FLAT, TRADES), (NESTED, FRAMES), (LIST, ARRAYS), (PLAIN, PLAIN_TRADES), (DEEP, DEEP_QUOTES)],
    ids=["flat", "nested", "list", "plain", "deep"],
)
@given(st.data())
def test_a_mapping_makes_of_messages_what_plain_python_makes_of_each(
    mapping: dict[str, Any], documents: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    given_documents = data.draw(st.lists(documents, max_size=6))
    result = run(mapping, given_documents)
    expected: dict[tuple[int, int], bytes] = {}
    reasons: dict[tuple[int, int], str] = {}
    for record, document in enumerate(given_documents):
        trace = TRACE[3:35].decode() if record % 2 else None
        plain = normalized(parse_mapping(mapping), FEED, document, INGEST + record, ("raw[3]", 70 + record), trace)
        for (number, reason), envelope in plain:
            if envelope is None:
                reasons[record, number] = reason
            else:
                expected[record, number] = envelope
    assert envelopes(result) == expected
    assert {(one.record, one.number): one.reason for one in result.rejected} == reasons
    assert all("\n" not in one.error for one in result.rejected)


HOSTILE = st.sampled_from([b"[" * 100_000, b'{"s":"\\ud800"}', b'{"p":1e999}', b"null", b'{"data":[null]}'])


@given(st.lists(st.binary(max_size=30) | HOSTILE))
def test_no_bytes_end_it_and_each_is_told_of(texts: list[bytes]) -> None:
    for mapping in (FLAT, NESTED, LIST, PLAIN, DEEP):
        result = Normalizer([parse_mapping(mapping)], FEED).normalize([*texts, None], arrivals(len(texts) + 1))
        assert not any(map(len, result.accepted))
        assert {one.record for one in result.rejected} == set(range(len(texts) + 1))
        assert "tombstone" in result.rejected[-1].error


TRADE = {"t": 1_762_795_380_123, "s": "SPY", "p": "425.15", "q": 1200, "m": True, "id": 7, "seq": 71}


def one_of(group: Accepted) -> dict[str, Any]:
    (value,) = group.values
    open_envelope(value)
    found: dict[str, Any] = json.loads(value)
    return found


def test_the_same_raw_message_has_the_same_ids_wherever_and_whenever_it_arrives() -> None:
    normalizer = Normalizer([parse_mapping(FLAT)], FEED)
    (first,) = normalizer.normalize(raw_of([TRADE]), Arrivals([INGEST])).accepted
    spaced = json.dumps({"other": [1], **TRADE}, indent=2).encode()
    (again,) = normalizer.normalize([b"{}", spaced], Arrivals([0, INGEST + 9**18], (), "raw[0]", [5, 6])).accepted
    assert again.event_ids == first.event_ids == first.message_ids
    assert again.dedupe_keys == first.dedupe_keys
    once, twice = one_of(first), one_of(again)
    assert once["event_id"] == twice["event_id"]
    assert once["checksum"] == twice["checksum"]
    assert once["ingest_time"] != twice["ingest_time"]


@pytest.mark.parametrize("change", [{"p": "425.16"}, {"seq": 72}, {"s": "QQQ"}, {"id": 8}])
def test_what_says_something_else_has_other_ids(change: dict[str, Any]) -> None:
    (group,) = run(FLAT, [TRADE, {**TRADE, **change}]).accepted
    assert len(set(group.event_ids)) == len(set(group.dedupe_keys)) == 2


def test_a_source_s_own_id_is_the_event_s_and_the_message_has_one_of_its_own() -> None:
    item = {"time": "2025-11-10T18:23:00+01:00", "id": 'own "7"', "p": 1}
    (group,) = run(NESTED, [{"s": "SPY", "data": [item]}]).accepted
    assert one_of(group)["event_id"] == group.event_ids[0] == 'own "7"'
    assert one_of(group)["event_time"] == "2025-11-10T17:23:00.000000Z"
    assert group.message_ids[0] == message_id(group.times[0], "utp.quotes.v2", group.dedupe_keys[0].encode())


def test_one_bad_item_costs_none_of_its_neighbours() -> None:
    time = "2025-11-10T17:23:00Z"
    items = [{"time": time, "p": 1}, {"time": time, "p": "x"}, 7, {"time": "soon", "p": 1}, {"time": time, "p": 2}]
    result = run(NESTED, [{"s": "SPY", "data": items}, {"s": "SPY"}])
    assert list(envelopes(result)) == [(0, 0), (0, 4)]
    assert [(one.record, one.number, one.reason) for one in result.rejected] == [
        (0, 1, "contract"),
        (0, 2, "contract"),
        (0, 3, "contract"),
        (1, 0, "mapping"),
    ]
    assert "at `$.bid`" in result.rejected[0].error
    assert "event_time is missing, or is not an ISO 8601 time" in result.rejected[2].error


def test_the_first_mapping_whose_conditions_hold_is_taken() -> None:
    trade = {**FLAT, "where": {"type": ["match", "last"], "x.live": True}}
    quote = {**NESTED, "where": {"type": "book"}}
    time = "2025-11-10T17:23:00Z"
    sent = [
        {**TRADE, "type": "match", "x": {"live": True}},
        {"type": "book", "s": "SPY", "data": [{"time": time, "p": 1}]},
        {**TRADE, "type": "match", "x": {"live": 1}},
        {"type": "heartbeat"},
        {**TRADE, "type": "last", "x": {"live": True}, "seq": 72},
    ]
    mappings = [parse_mapping(trade), parse_mapping(quote)]
    strict = Normalizer(mappings, FEED).normalize(raw_of(sent), arrivals(len(sent)))
    assert [(group.kind.id, group.records) for group in strict.accepted] == [("trades/v2", [0, 4]), ("quotes/v2", [1])]
    assert [(one.record, one.reason) for one in strict.rejected] == [(2, "unmapped"), (3, "unmapped")]
    lenient = Normalizer(mappings, FEED, skip_unmapped=True).normalize(raw_of(sent), arrivals(len(sent)))
    assert (lenient.rejected, lenient.skipped) == ([], 2)


JQ = """
select(.kind == "trade") | .trades[] | {
  event_time: .at, sequence: .n, fields: {symbol: .what, price: .price, size: (.lots * 100), trade_id: "\\(.n)"}
}
"""


def test_a_program_of_jq_makes_any_number_of_messages_of_one() -> None:
    trades = [{"at": "2025-11-10T17:23:00Z", "n": n, "what": "SPY", "price": 1.5, "lots": 2} for n in (1, 2)]
    sent = [
        {"kind": "trade", "trades": trades},
        {"kind": "ping"},
        {"kind": "trade", "trades": [{**trades[0], "at": 1.5}]},
    ]
    result = run({"type": "trades/v2", "jq": JQ}, sent)
    (group,) = result.accepted
    assert (group.records, group.numbers) == ([0, 0], [0, 1])
    assert [json.loads(value)["payload"]["size"] for value in group.values] == [200, 200]
    assert [json.loads(value)["sequence"] for value in group.values] == [1, 2]
    assert [(one.record, one.reason) for one in result.rejected] == [(2, "contract")]


FUNCTION = """
from datetime import UTC, datetime

def trade(message):
    if message["kind"] == "ping":
        return None
    if message["kind"] == "odd":
        return {"event_time": 1, "sequnce": 1, "fields": {}}
    return {
        "event_time": datetime.fromtimestamp(message["at"], UTC),
        "fields": {"symbol": "/".join(message["pair"]), "price": message["price"], "size": 1},
    }
"""


def test_a_function_maps_and_its_failure_costs_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "desk_mapping.py").write_text(FUNCTION)
    monkeypatch.syspath_prepend(tmp_path)
    good = {"kind": "trade", "at": 1_762_795_380, "pair": ["BTC", "USD"], "price": "1.5"}
    sent = [good, {"kind": "ping"}, {"kind": "odd"}, {"kind": "trade"}, {**good, "pair": "\ud800"}]
    result = run({"type": "trades/v2", "python": "desk_mapping:trade"}, sent)
    (group,) = result.accepted
    assert one_of(group)["payload"] == {"symbol": "BTC/USD", "price": 1.5, "size": 1}
    assert one_of(group)["event_time"] == "2025-11-10T17:23:00.000000Z"
    errors = {one.record: (one.reason, one.error) for one in result.rejected}
    assert errors[2] == ("mapping", "the program returned 'sequnce'; did you mean sequence?")
    assert errors[3] == ("mapping", "desk_mapping:trade: KeyError: 'at'")
    assert set(errors) == {2, 3, 4}


def test_types_without_a_symbol_are_in_order_by_their_own_id() -> None:
    mapping = {
        "type": "news/v1",
        "event_time": "at",
        "event_id": "id",
        "fields": {"headline": "title", "source": {"value": "acme"}, "tickers": "about"},
    }
    at = "2025-11-10T17:23:00Z"
    (group,) = run(
        mapping, [{"at": at, "id": 7, "title": "up", "about": ["A"]}, {"at": at, "title": "b", "about": []}]
    ).accepted
    assert group.partition_keys == group.keys == ["7", group.message_ids[1]]


@pytest.mark.parametrize("case", ["trades-v2/typical", "quotes-v2/typical", "quotes-v2/edge", "gex-levels-v1/typical"])
def test_ids_of_golden_envelopes_are_those_that_a_normalizer_gives_them(case: str) -> None:
    golden = read_golden((FOLDER / f"{case}.json").read_bytes())
    headers = golden.message_headers()
    envelope, payload = open_envelope(golden.value)
    kind = envelope.schema_ref.removeprefix("utp://schemas/")
    names = [name for name in type(payload).__struct_fields__ if getattr(payload, name) is not None]
    mapping: dict[str, Any] = {"type": kind, "event_time": "event_time", "fields": {n: f"payload.{n}" for n in names}}
    if envelope.sequence is not None:
        mapping["sequence"] = "sequence"
    feed = Feed(envelope.source_id, envelope.realm, envelope.region)
    (group,) = Normalizer([parse_mapping(mapping)], feed).normalize([golden.value], Arrivals([INGEST])).accepted
    assert group.times == [parse_timestamp(envelope.event_time)]
    assert group.partition_keys == [headers.partition_key]
    written = ENVELOPE_V1.decode(group.values[0])
    assert json.loads(bytes(written.payload)) == json.loads(bytes(envelope.payload))
    if bytes(written.payload) == bytes(envelope.payload) and envelope.sequence is not None:  # and no other 8 than 8.0
        assert group.event_ids == [headers.message_id]
        assert group.dedupe_keys == [headers.dedupe_key]

    assert case != "trades-v2/typical" or group.event_ids == [headers.message_id]
