"""Whatever a topic can hold: good events count, each bad record is in the DLQ once as it came, the flow ends well."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import polars as pl
import pyarrow as pa
import pytest
from confluent_kafka import Producer

from codec.encode import encode
from contracts.record import ARROW, MSGPACK, Headers
from mdp.local import LocalStack
from tests.harness import Deployment, Deployments, assert_same, create_topic

WINDOW = 2_000
START = 1_761_314_400_000  # milliseconds; a whole window

HOSTILE = [
    "it's",
    'say "hi"',
    "'; DROP TABLE bars_ohlcv; --",
    "\\",
    "\\N",
    "a\\b|c",
    "tab\there",
    "line\nbreak\r",
    "\u202egnirts\u202c",
    "سهم",
    "🚀💥",
    "\x01\x7f",
    "{}%s%(x)s$1",
    "NULL",
    " ",
    "é" * 128,
]


class Sent(NamedTuple):
    key: bytes | None
    value: bytes | None
    content_type: str | None = None


def event(number: int, **changes: Any) -> dict[str, Any]:
    """A good tick, every 100 ms one, or with `changes` (a field that is None is left out) a bad one."""
    at = START + 100 * number
    tick = {
        "ver": 1,
        "provider": "feed",
        "symbol": "GOOD",
        "kind": "tick",
        "src_ts": f"2025-10-24T14:{at // 60_000 % 60:02}:{at // 1_000 % 60:02}.{at % 1_000:03}Z",
        "c": 100.0,
        "v": 1.0,
        "seq": number,
        **changes,
    }
    return {name: value for name, value in tick.items() if value is not None}


def as_json(**changes: Any) -> bytes:
    return json.dumps(event(0, **changes)).encode()


def bad_json() -> Iterator[bytes | None]:
    """Records that say nothing of their content type."""
    whole = as_json()
    yield from (whole[:end] for end in (1, 20, len(whole) - 1))
    yield from (
        b"",
        None,
        b" ",
        b"null",
        b"[]",
        b"{}",
        b"42",
        b'"text"',
        b"[" + whole + b"]",
        whole + whole,
        whole + b"}",
    )
    yield from (as_json(**{name: None}) for name in ("provider", "symbol", "kind", "src_ts", "c", "v"))
    no_names: list[object] = ["", 7, ["A"], {}, "nul\0"]
    yield from (as_json(**{name: value}) for name in ("symbol", "provider") for value in no_names)
    yield from (as_json(symbol="X" * 10_240), as_json(symbol="é" * 129), as_json(event_id=""), as_json(ver=2))
    yield from (as_json(**{name: value}) for name in ("c", "v") for value in ("1", True, [1], 2e18, -2e18))
    yield from (as_json(c=value) for value in (float("nan"), float("inf"), float("-inf")))
    yield from (whole.replace(b"100.0", number) for number in (b"1e999", b"-1e999", b"0x10", b"1.", b"\xd9\xa1"))
    yield from (as_json(v=-1.0), as_json(v=-1e-300), as_json(kind="quote"), as_json(seq=2**63), as_json(seq=1.5))
    times = (
        "2100-01-01T00:00:00Z",
        "2999-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z",
        "2261-12-31T00:00:00Z",
        "2025-10-24T14:00:00",
        "2025-10-24",
        "2025-02-30T00:00:00Z",
        "2025-10-24T25:00:00Z",
        "2025-10-24T14:00:00.1234567890Z",
        "yesterday",
        "",
        1_761_314_400,
    )
    yield from (as_json(src_ts=time) for time in times)
    bar = {"kind": "bar", "o": 1.0, "h": 2.0, "l": 1.0, "c": 1.5, "interval": "1s"}
    yield from (as_json(**{**bar, **wrong}) for wrong in ({"h": 1.2}, {"l": 1.6}, {"interval": "3s"}, {"o": None}))
    yield whole.replace(b"GOOD", b"\xff\xfe")
    yield whole.replace(b"GOOD", b"\xed\xa0\x80")
    yield whole.replace(b"GOOD", rb"\ud800")
    yield from (
        bytes(range(256)),
        b"\x00" * 100,
        b"\xff" * 64,
        b"PAR1junk",
        b"\x1f\x8b\x08\x00junk",
        b"\xef\xbb\xbf" + whole,
    )
    yield from (b"[" * 100_000, b'{"a":' * 100_000, whole[:-1] + b',"deep":' + b"[" * 5_000 + b"]" * 5_000 + b"}")
    yield as_json(symbol="M" * 1_000_000)
    yield b"x" * 1_000_000


def arrow_ticks(**columns: pl.Series) -> bytes:
    rows = pl.DataFrame(
        {
            "provider": ["feed"] * 3,
            "symbol": ["ARROW"] * 3,
            "kind": ["tick"] * 3,
            "src_ts": [START * 1_000_000 + number for number in range(3)],
            "c": [1.0, 2.0, 3.0],
            "v": [1.0] * 3,
        }
    )
    (value,) = encode(rows.with_columns(**columns), "arrow")
    return value


def is_readable(stream: bytes) -> bool:
    try:
        pa.ipc.open_stream(stream).read_all().validate(full=True)
    except (pa.ArrowException, ValueError, OSError):
        return False
    return True


def bad_encoded() -> Iterator[tuple[str, bytes]]:
    """Content types that the value does not keep to, or that nobody knows."""
    stream = arrow_ticks()
    junk = (b"", b"\xff\xff\xff\xff", b"\xff" * 100, b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x00" * 64, b"junk")
    yield from ((ARROW, value) for value in junk)
    yield from ((ARROW, stream[:end]) for end in (7, len(stream) // 2))
    damaged = (stream[:at] + b"\xff" * 8 + stream[at + 8 :] for at in range(8, len(stream), 40))
    yield from ((ARROW, value) for value in damaged if not is_readable(value))
    packed = msgspec.msgpack.encode(event(0))
    values = (b"", b"\xc1", b"\xdf\xff\xff\xff\xff", packed[:-1], packed + b"\x00", b"\x91" * 100_000, b"\x80", b"\x00")
    yield from ((MSGPACK, value) for value in values)
    yield MSGPACK, msgspec.msgpack.encode(event(0, c=float("nan")))
    yield "application/x-unknown", packed
    yield "ÿ" * 300, packed


def bad() -> list[Sent]:
    keys = (b"KEY", None, b"", b"\xff\xfe", b"k" * 1_000)
    untyped = [Sent(keys[number % len(keys)], value) for number, value in enumerate(bad_json())]
    return untyped + [Sent(b"KEY", value, content_type) for content_type, value in bad_encoded()]


@pytest.fixture(scope="module")
def log() -> list[tuple[Sent, bool]]:
    """Records in their order, and whether they are good: a good one after each bad one, then the hostile symbols."""
    records: list[tuple[Sent, bool]] = []
    for number, record in enumerate(bad()):
        good = event(number)
        as_is = number % 3 == 2
        value = msgspec.msgpack.encode(good) if as_is else json.dumps(good).encode()
        key = None if number % 2 else b"GOOD"
        records += [(record, False), (Sent(key, value, MSGPACK if as_is else None), True)]
    last = len(records) // 2
    hostile = [event(last, symbol=symbol, provider=symbol[:64]) for symbol in HOSTILE]
    return records + [(Sent(tick["symbol"].encode(), json.dumps(tick).encode()), True) for tick in hostile]


@pytest.fixture(scope="module")
def after(stack: LocalStack, deploy: Deployments, log: list[tuple[Sent, bool]]) -> Deployment:
    """All of it on one partition, and run to the end."""
    kafka = stack.kafka.bootstrap
    events = create_topic(kafka, "hostile", 1, max_message_bytes="4000000")
    producer = Producer({"bootstrap.servers": kafka, "message.max.bytes": 4_000_000})
    for record, _ in log:
        headers: Headers | None = (
            None if record.content_type is None else [("content-type", record.content_type.encode())]
        )
        producer.produce(events, record.value, record.key, 0, headers=headers)
    assert producer.flush(60) == 0
    rules = [{"name": "seen", "condition": "close > 0", "signal": 1.0, "score": 1.0}]
    windows = [{"name": "vwap_2s", "horizon": "2s"}]
    deployment = deploy(events, partitions=1, name="hostile", rules=rules, features={"windows": windows})
    deployment.run()
    return deployment


def test_every_good_event_is_counted(after: Deployment, log: list[tuple[Sent, bool]]) -> None:
    good = sum(is_good for _, is_good in log)
    assert after.query("SELECT sum(accepted + amending)::bigint FROM progress") == [(good,)]
    assert after.query("SELECT sum(trades)::bigint FROM bars_ohlcv") == [(good,)]


def test_every_bad_record_is_in_the_dlq_as_it_came(after: Deployment, log: list[tuple[Sent, bool]]) -> None:
    expected = [(offset, record) for offset, (record, is_good) in enumerate(log) if not is_good]
    found = after.records("dlq")
    assert [int(record.header("source_offset")) for record in found] == [offset for offset, _ in expected]
    for record, (_, sent) in zip(found, expected, strict=True):
        assert (record.key, record.value) == (sent.key, sent.value)


def test_the_dlq_says_why_and_where_from(after: Deployment) -> None:
    found = after.records("dlq")
    assert {record.header("source_topic") for record in found} == {after.events}
    assert {(record.header("source_partition"), record.header("source_row")) for record in found} == {("0", "0")}
    assert {record.header("dlq_reason") for record in found} == {"undecodable", "contract", "future"}
    assert all(0 < len(record.header("dlq_error")) < 1_000 for record in found)


def test_hostile_symbols_come_out_unharmed(after: Deployment) -> None:
    for table in ("bars_ohlcv", "features", "signals"):
        stored = {symbol for (symbol,) in after.query(f"SELECT symbol FROM {table}")}
        assert stored == {"GOOD", *HOSTILE}
    sent = [record.json for record in after.records("signals")]
    assert {signal["symbol"] for signal in sent} == {"GOOD", *HOSTILE}
    assert {signal["provider"] for signal in sent} == {"feed", *(symbol[:64] for symbol in HOSTILE)}
    stored_ids = {signal_id for (signal_id,) in after.query("SELECT signal_id FROM signals")}
    assert sorted(signal["signal_id"] for signal in sent) == sorted(stored_ids)


def test_running_it_again_adds_nothing(after: Deployment) -> None:
    tables, output, versions = after.tables(), after.output(), after.row_versions()
    after.run(f"recovery.directory={after.folder / 'another'}")
    assert_same(after.tables(), tables)
    assert_same(after.output(), output)
    assert_same(after.row_versions(), versions)
