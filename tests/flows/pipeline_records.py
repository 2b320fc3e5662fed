"""Kafka records out of the rows of a log: JSON, msgpack, and Arrow streams of several rows, some of them broken."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import msgspec
import pyarrow as pa

from contracts.record import ARROW, MSGPACK, Fetch, Records
from tests.event_logs import Row

_FIELDS = ("provider", "symbol", "kind", "seq", "event_id", "o", "h", "l", "c", "v")


@dataclass(frozen=True)
class StoredRecord:
    """A record of a topic, and the rows of the log that it carries."""

    place: int
    payload: bytes | None
    milliseconds: int
    content_type: str | None = None
    rows: tuple[Row, ...] = ()

    def value(self) -> bytes | None:
        return self.payload

    def key(self) -> bytes | None:
        return b"key"

    def offset(self) -> int:
        return self.place

    def timestamp(self) -> tuple[int, int]:
        return 2, self.milliseconds

    def headers(self) -> list[tuple[str, str | bytes | None]] | None:
        return [("content-type", self.content_type.encode())] if self.content_type else None


def fetch(records: Sequence[StoredRecord], next_offset: int = 0) -> Fetch:
    return Fetch(
        topic="events",
        partition=0,
        next_offset=records[-1].offset() + 1 if records else next_offset,
        records=Records.of(records),
    )


FAULTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "no kind": lambda event: event | {"kind": "quote"},
    "no price": lambda event: event | {"c": None},
    "too large": lambda event: event | {"c": 1.1e15},
    "negative volume": lambda event: event | {"v": -0.5},
    "no provider": lambda event: event | {"provider": None},
    "long symbol": lambda event: event | {"symbol": "S" * 257},
    "empty id": lambda event: event | {"event_id": ""},
    "naive time": lambda event: event | {"src_ts": "2023-11-14T22:13:20"},
}


def as_records(log: Sequence[Row]) -> list[StoredRecord]:
    """Records at offsets 0, 3, 6, ...; neighbours in Arrow share one, and get its offset and a row each."""
    return list(_records(log))


def _records(log: Sequence[Row]) -> Iterator[StoredRecord]:
    for is_arrow, group in groupby(log, lambda row: row["encoding"] == "arrow"):
        rows = list(group)
        if is_arrow:
            yield _arrow(rows)
            continue
        for row in rows:
            text = _event(row)
            payload = msgspec.msgpack.encode(text) if row["encoding"] == "msgpack" else json.dumps(text).encode()
            content_type = MSGPACK if row["encoding"] == "msgpack" else None
            yield StoredRecord(row["offset"], payload, row["record_ts"] // 1_000_000, content_type, (row,))


def _event(row: Row) -> dict[str, Any]:
    event = {name: row[name] for name in _FIELDS if row[name] is not None} | {"src_ts": iso(row["src_ts"]), "ver": 1}
    if row["kind"] == "heartbeat":
        event = {name: event[name] for name in ("provider", "kind", "src_ts", "ver")}
    if row["kind"] == "bar":
        event["interval"] = "5ms"
    return FAULTS[row["fault"]](event) if row["fault"] else event


def _arrow(rows: Sequence[Row]) -> StoredRecord:
    """One record of many rows, which are judged by the timestamp of the first."""
    first = rows[0]
    for number, row in enumerate(rows):
        row.update(offset=first["offset"], row=number, record_ts=first["record_ts"])
    table = pa.Table.from_pylist([_event(row) for row in rows], schema=_SCHEMA)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return StoredRecord(first["offset"], sink.getvalue(), first["record_ts"] // 1_000_000, ARROW, tuple(rows))


_TEXTS = ("provider", "symbol", "kind", "interval", "src_ts", "event_id")
_SCHEMA = pa.schema([*((name, pa.string()) for name in _TEXTS), *((name, pa.float64()) for name in "ohlcv")]).append(
    pa.field("seq", pa.int64())
)


def iso(ns: int) -> str:
    moment = datetime.fromtimestamp(ns // 10**9, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ns % 10**9:09d}Z"
