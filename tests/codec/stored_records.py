"""Records as a consumer gets them, and what is made of them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa

from codec.decode import Decoder
from contracts.batch import MicroBatch
from contracts.record import ARROW, MSGPACK, Fetch, Headers, Records

SECOND = 1_000_000_000
WINDOW = 2 * SECOND
MAX_FUTURE = 5 * SECOND
DECODER = Decoder(WINDOW, MAX_FUTURE)
NOW_MS = 1_761_314_521_000  # 2025-10-24T14:02:01Z

TICK: dict[str, Any] = {
    "provider": "feed",
    "symbol": "SPY",
    "kind": "tick",
    "src_ts": "2025-10-24T14:02:01Z",
    "c": 425.15,
    "v": 1200.0,
    "event_id": "e1",
}
BAR: dict[str, Any] = {**TICK, "kind": "bar", "interval": "1s", "o": 425.1, "h": 425.2, "l": 425.0}
HEARTBEAT: dict[str, Any] = {"provider": "feed", "kind": "heartbeat", "src_ts": "2025-10-24T14:02:01Z"}


@dataclass
class Stored:
    """A record; the offset is given by its place."""

    payload: bytes | None
    content_type: str | bytes | None = None
    header_name: str = "content-type"
    milliseconds: int = NOW_MS
    place: int = 0

    def value(self) -> bytes | None:
        return self.payload

    def key(self) -> bytes | None:
        return None if self.place % 2 else b"\xff key"

    def offset(self) -> int:
        return self.place

    def timestamp(self) -> tuple[int, int]:
        return 2, self.milliseconds

    def headers(self) -> Headers | None:
        return [(self.header_name, self.content_type)] if self.content_type else None


def as_json(event: Any, **more: Any) -> Stored:
    return Stored(json.dumps(event).encode(), **more)


def as_msgpack(event: Any, **more: Any) -> Stored:
    return Stored(msgspec.msgpack.encode(event), MSGPACK, **more)


def as_arrow(table: pa.Table | list[dict[str, Any]], **more: Any) -> Stored:
    table = table if isinstance(table, pa.Table) else pa.Table.from_pylist(table)
    return Stored(stream(table), ARROW, **more)


def stream(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def with_odd_places(payload: bytes, shift: int) -> bytes:
    """The same stream with a longer first message, so that no column lies where its type wants it."""
    length = int.from_bytes(payload[4:8], "little")
    return (
        payload[:4]
        + (length + shift).to_bytes(4, "little")
        + payload[8 : 8 + length]
        + bytes(shift)
        + payload[8 + length :]
    )


def fetch(records: Sequence[Stored]) -> Fetch:
    return Fetch(topic="events", partition=3, next_offset=len(records), records=Records.of(records))


def decode(*records: Stored) -> MicroBatch:
    for place, record in enumerate(records):
        record.place = place
    return DECODER.decode(fetch(records))
