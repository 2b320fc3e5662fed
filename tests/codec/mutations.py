"""Records as a careless or hostile producer may send them, seeded."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pyarrow as pa

from contracts.record import ARROW, JSON, MSGPACK
from tests.codec.stored_records import BAR, HEARTBEAT, NOW_MS, TICK, Stored, stream

VALUES: list[Any] = [
    *(None, True, False, "", " ", "\0", "x" * 257, "é" * 129, "x" * 10_000, "\u202e", "株", "\ud83d\ude00", "'; --"),
    *(0, -1, 1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64, 10**30, -(10**400)),
    *(0.0, -0.0, 5e-324, 1e15, 1.0000001e15, 1e18, 1.0000001e18, -1e300, float("nan"), float("inf"), float("-inf")),
    *("1", "NaN", "1e5", "tick", "bar", "heartbeat", "1s", "2s", "7s", "0s"),
    *("2025-10-24T14:02:01Z", "2025-10-24T14:02:01", "2025-10-24 14:02:01+00:00", "2999-01-01T00:00:00Z"),
    *("2025-02-30T00:00:00Z", "2025-10-24T24:00:00Z", "0000-01-01T00:00:00Z", "2025-10-24T14:02:60.5+99:99"),
    *([], {}, [1, 2], {"c": 1}, [[[[]]]]),
]
NAMES = [*BAR, "seq", "ver", "ingest_ts", "unknown", "", "C"]
TYPES: list[str | bytes] = [
    JSON,
    MSGPACK,
    ARROW,
    "text/plain",
    "",
    "application/json; charset=utf-8",
    "APPLICATION/MSGPACK",
    b"\xff\xfe",
]

Event = dict[str, Any]
Mutation = Callable[[random.Random], tuple[bytes | None, str | bytes | None]]


def records(seed: int, count: int) -> Iterator[Stored]:
    """So many records, of every kind of fault and some without."""
    chance = random.Random(seed)
    for place in range(count):
        payload, content_type = chance.choices(MUTATIONS, WEIGHTS)[0](chance)
        if chance.random() < 0.05:
            content_type = chance.choice(TYPES)
        if payload is not None and chance.random() < 0.4:
            payload = damaged(chance, payload)
        milliseconds = chance.choice([NOW_MS, NOW_MS, NOW_MS, -1, 0, NOW_MS - 10_000, 2**63 - 1, -(2**63)])
        yield Stored(payload, content_type, milliseconds=milliseconds, place=place)


def changed(chance: random.Random) -> Event:
    """An event with up to three fields changed, added or missing."""
    event = dict(chance.choice([TICK, TICK, BAR, HEARTBEAT]))
    for _ in range(chance.randrange(4)):
        name = chance.choice(NAMES)
        if chance.random() < 0.2:
            event.pop(name, None)
        else:
            event[name] = chance.choice(VALUES)
    return event


def as_json(chance: random.Random) -> tuple[bytes, str | None]:
    text = json.dumps(changed(chance), ensure_ascii=chance.random() < 0.5)
    if chance.random() < 0.1:  # a key that comes twice
        text = text[:-1] + f', "{chance.choice(NAMES)}": {json.dumps(chance.choice(VALUES))}}}'
    return text.encode("utf-8", "surrogatepass"), chance.choice([None, JSON])


def as_msgpack(chance: random.Random) -> tuple[bytes, str]:
    try:
        return msgspec.msgpack.encode(changed(chance)), MSGPACK
    except (OverflowError, UnicodeEncodeError):  # a number or a text that msgpack does not have
        return b"\x81\xa1c\xcb\x7f\xf0\0\0\0\0\0\0", MSGPACK


def as_arrow(chance: random.Random) -> tuple[bytes, str]:
    rows = [changed(chance) for _ in range(chance.randrange(4))]
    try:
        table = pa.Table.from_pylist(rows)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):  # rows whose types do not fit together
        table = pa.Table.from_pylist([BAR] * len(rows))
    if table.num_columns and chance.random() < 0.2:
        table = table.drop_columns([chance.choice(table.column_names)])
    return stream(table), ARROW


def junk(chance: random.Random) -> tuple[bytes | None, str | None]:
    size = chance.choice([0, 1, 2, 16, 300, 5_000])
    start = chance.choice([b"", b"{", b"\xff\xff\xff\xff", b"\x80", b"\x8f", b"[", b"\xef\xbb\xbf{"])
    return chance.choice([None, start + chance.randbytes(size)]), chance.choice([None, JSON, MSGPACK, ARROW])


def nested(chance: random.Random) -> tuple[bytes, str | None]:
    depth = chance.choice([10, 1_000, 100_000])
    return chance.choice([b"[", b'{"c":', b'{"unknown":[', b"\x81\xa1c", b"\x91"]) * depth, chance.choice(
        [None, MSGPACK]
    )


MUTATIONS: list[Mutation] = [as_json, as_msgpack, as_arrow, junk, nested]
WEIGHTS = [60, 24, 4, 12, 0.02]


def damaged(chance: random.Random, payload: bytes) -> bytes:
    """With bytes cut off, flipped, put in, or taken from elsewhere in it."""
    data = bytearray(payload)
    for _ in range(chance.choice([1, 1, 1, 2, 8])):
        at = chance.randrange(len(data) + 1)
        what = chance.randrange(5)
        if what == 0:
            del data[at:]
        elif what == 1 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif what == 2:
            data[at:at] = chance.randbytes(chance.randrange(1, 9))
        elif what == 3:
            del data[at : at + chance.randrange(1, 9)]
        else:
            start = chance.randrange(len(data) + 1)
            data[at:at] = data[start : start + chance.randrange(1, 60)]
    return bytes(data)
