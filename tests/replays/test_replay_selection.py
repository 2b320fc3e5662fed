"""Which messages a request chooses, against a judgement of one message after the other."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from codec.decode import Decoder
from codec.encode import encode
from contracts.record import ARROW, Headers
from mdp.ops.replays.readers import EventReader
from mdp.ops.replays.selection import Selection
from mdp.ops.span import Span
from transports.kafka.topic_reader import Message

MINUTE = 60_000_000_000
T0 = 1_761_314_520_000_000_000  # 2025-10-24T14:02:00Z
SYMBOLS = ("A", "B", "Ä|\\")
KEYS = (b"A", b"k", None)
READ = EventReader(Decoder(2_000_000_000, 5_000_000_000))

Told = tuple[str | None, int]  # symbol and minute


@dataclass
class Stored:
    """A record, and what it says, as far as it can be read; a heartbeat has no symbol."""

    content: bytes | None
    own_key: bytes | None
    says: list[Told]
    is_heartbeat: bool = False
    own_headers: Headers = field(default_factory=list)

    def value(self) -> bytes | None:
        return self.content

    def key(self) -> bytes | None:
        return self.own_key

    def offset(self) -> int:
        return 0

    def timestamp(self) -> tuple[int, int]:
        return 1, (T0 + 100 * MINUTE) // 1_000_000

    def headers(self) -> Headers:
        return self.own_headers


def tick(symbol: str, minute: int) -> dict[str, Any]:
    return {"provider": "p", "symbol": symbol, "kind": "tick", "src_ts": T0 + minute * MINUTE, "c": 1.0, "v": 1.0}


def as_json(symbol: str, minute: int) -> bytes:
    (payload,) = encode(pl.DataFrame([tick(symbol, minute)]), "json")
    return payload


def heartbeat(minute: int) -> bytes:
    time = f"2025-10-24T14:{2 + minute:02}:00Z"
    return json.dumps({"ver": 1, "kind": "heartbeat", "provider": "p", "src_ts": time}).encode()


def many(rows: Sequence[tuple[str, int]]) -> bytes:
    (payload,) = encode(pl.DataFrame([tick(*row) for row in rows]), "arrow")
    return payload


KEY = st.sampled_from(KEYS)
MINUTES = st.integers(0, 9)
TICKS = st.tuples(st.sampled_from(SYMBOLS), MINUTES)
RECORDS = st.one_of(
    st.builds(lambda row, key: Stored(as_json(*row), key, [row]), TICKS, KEY),
    st.builds(lambda minute, key: Stored(heartbeat(minute), key, [(None, minute)], is_heartbeat=True), MINUTES, KEY),
    st.builds(
        lambda rows, key: Stored(many(rows), key, list(rows), own_headers=[("content-type", ARROW.encode())]),
        st.lists(TICKS, min_size=1, max_size=4),
        KEY,
    ),
    st.builds(lambda key: Stored(b"junk", key, []), KEY),
    st.builds(lambda key: Stored(None, key, []), KEY),
)
SPANS = st.tuples(MINUTES, MINUTES).filter(lambda pair: pair[0] < pair[1])
REQUESTS = st.builds(
    lambda span, symbols, keys: (span, symbols, keys),
    st.none() | SPANS,
    st.none() | st.frozensets(st.sampled_from(SYMBOLS), min_size=1),
    st.none() | st.frozensets(st.sampled_from(KEYS[:2]), min_size=1),
)


def chosen_of(record: Stored, request: tuple[Any, Any, Any]) -> list[Told]:
    """What of a record is asked for, said plainly."""
    span, symbols, keys = request
    if keys is not None and record.own_key not in keys:
        return []
    return [
        (symbol, minute)
        for symbol, minute in record.says
        if (span is None or span[0] <= minute < span[1])
        and (symbols is None or symbol in symbols or record.is_heartbeat)
    ]


def told_by(value: bytes) -> list[Told]:
    if value[:1] == b"{":
        event = json.loads(value)
        return [(event.get("symbol"), int(event["src_ts"][14:16]) - 2)]
    rows = pl.read_ipc_stream(io.BytesIO(value)).select(
        pl.col("symbol").cast(pl.String), pl.col("src_ts").cast(pl.Int64)
    )
    return [(symbol, (time - T0) // MINUTE) for symbol, time in rows.iter_rows()]


@given(st.lists(RECORDS, max_size=8), REQUESTS)
def test_a_request_chooses_what_a_reader_of_single_messages_would(
    stored: list[Stored], request: tuple[Any, Any, Any]
) -> None:
    span, symbols, keys = request
    times = None if span is None else Span(T0 + span[0] * MINUTE, T0 + span[1] * MINUTE)
    parts, unreadable = Selection(times, symbols, keys).parts(cast(Sequence[Message], stored), READ)
    expected = [(record, found) for record in stored if (found := chosen_of(record, request))]
    sent = [(cast(object, part.message), told_by(part.value or b"")) for part in parts]
    assert sent == expected
    for part, (record, found) in zip(parts, expected, strict=True):
        if len(found) == len(record.says):
            assert (part.value, part.headers) == (record.content, record.own_headers)
    asked = [record for record in stored if keys is None or record.own_key in keys]
    assert unreadable == sum(not record.says for record in asked)
