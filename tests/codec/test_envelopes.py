"""Envelopes in records to frames of their types: the same as by `open_envelope`, one at a time."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.decode import fitting
from codec.encoding import GZIP, PayloadCodec
from codec.envelopes import EnvelopeDecoder
from codec.heartbeats import envelope_heartbeats
from contracts.batch import MicroBatch
from contracts.budgets import RECORD_BYTES, Room
from contracts.envelope import checksum, stored_columns
from contracts.headers import MessageHeaders, encode_headers
from contracts.message import MessageType
from contracts.payloads.news import NEWS_V1
from contracts.payloads.quotes import QUOTES_V2
from contracts.payloads.trades import TRADES_V2
from contracts.record import Fetch, Record, Records
from contracts.registry import open_envelope, stored_types
from tests.contracts.messages_of_types import as_text, messages
from tests.message_log import T0, envelope
from transports.blobs.folder import FolderBlobs

KINDS = stored_types()
TRADE = {"symbol": "A", "price": 1.5, "size": 2}
HEADERS = MessageHeaders(
    message_id="018f5e2f-9b1c-76aa-8f7a-3b1d8f3ea0c2",
    schema_fqdn="utp.trades.v2",
    schema_version="2.0.0",
    content_type="application/json",
    produced_at="2025-10-28T07:14:29Z",
    producer="feed@host",
    source="feed",
    run_id="run",
    partition_key="A",
)


class One:
    """A record as the client has it."""

    def __init__(self, offset: int, value: bytes | None, headers: MessageHeaders | None = None) -> None:
        self._offset, self._value, self._headers = offset, value, headers

    def value(self) -> bytes | None:
        return self._value

    def key(self) -> bytes | None:
        return b"key"

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_761_314_400_000

    def headers(self) -> Any:
        return None if self._headers is None else encode_headers(self._headers)


def decoded(*values: bytes | None, codec: PayloadCodec | None = None) -> MicroBatch:
    return of(*(One(offset, value) for offset, value in enumerate(values)), codec=codec)


def of(*records: Record, codec: PayloadCodec | None = None) -> MicroBatch:
    """Each record comes in a part of its own."""
    parts = [
        Fetch(topic="t", partition=1, next_offset=record.offset() + 1, records=Records.of([record]))
        for record in records
    ]
    return EnvelopeDecoder(KINDS, codec or PayloadCodec()).decode_all(parts)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.table)
@given(st.data())
def test_any_message_becomes_the_row_that_its_envelope_and_it_say(kind: MessageType, data: st.DataObject) -> None:
    payload = as_text(data.draw(messages(kind)))
    value = envelope(kind, payload, data.draw(st.integers(1, 9)))
    opened, message = open_envelope(value)
    frame = decoded(value).results[str(kind.table)]
    assert frame.columns == [column.name for column in stored_columns(kind)] + ["dedupe_key", "offset", "row"]
    row = frame.row(0, named=True)
    assert (row["event_type"], row["sequence"], row["checksum"]) == (
        opened.event_type,
        opened.sequence,
        opened.checksum,
    )
    for column in stored_columns(kind)[6:]:
        cell, told = row[column.name], message
        for name in column.path:
            told = None if told is None else getattr(told, name)
        plain = msgspec.to_builtins(told)
        if column.type != "timestamptz":
            assert json.dumps(cell) == json.dumps(plain), column


@pytest.mark.parametrize(
    ("changes", "reason", "error"),
    [
        ({"schema_ref": "utp://schemas/rumours/v1"}, "contract", "a type that is not known"),
        ({"schema_ref": "utp://schemas/control/replay_request/v1"}, "contract", "not stored"),
        ({"checksum": checksum(b"other")}, "contract", "checksum is not that of the payload"),
        ({"event_time": "2025-02-30T00:00:00Z"}, "contract", "event_time is not an ISO 8601 time"),
        ({"ingest_time": "yesterday"}, "contract", "ingest_time is not an ISO 8601 time"),
        ({"source_id": "a\0"}, "contract", "source_id holds a NUL"),
        ({"source_id": "é" * 200}, "contract", "longer than 256 bytes"),
        ({"event_type": "Trades"}, "contract", "matching regex"),
        ({"envelope_version": "2.0"}, "contract", "Invalid enum value"),
    ],
)
def test_what_is_no_valid_message_is_refused_with_its_reason_and_its_bytes(
    changes: dict[str, Any], reason: str, error: str
) -> None:
    good, bad = envelope(TRADES_V2, TRADE, 1), envelope(TRADES_V2, TRADE, 2, **changes)
    batch = decoded(good, bad, good)
    assert batch.rejects.select("offset", "reason", "value").rows() == [(1, reason, bad)]
    assert error in batch.rejects["error"][0]
    assert batch.results["trades"]["offset"].to_list() == [0, 2]
    assert (batch.outcomes.accepted, batch.outcomes.rejected, batch.next_offset) == (2, 1, 3)


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"\xff", b"{}" * 2, b"[" * 10_000])
def test_anything_else_is_undecodable_or_no_envelope_and_never_raises(value: bytes | None) -> None:
    assert decoded(value).rejects["value"].to_list() == [value]


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    batch = decoded(data)
    assert batch.rejects.height + sum(frame.height for frame in batch.results.values()) == 1


def test_types_are_told_apart_and_stay_in_order() -> None:
    quote = {"symbol": "A", "bid": 1.0}
    batch = decoded(
        *(envelope(kind, content, n) for n in range(3) for kind, content in ((TRADES_V2, TRADE), (QUOTES_V2, quote)))
    )
    assert {table: frame["offset"].to_list() for table, frame in batch.results.items()} == {
        "trades": [0, 2, 4],
        "quotes": [1, 3, 5],
    }
    assert dict(batch.ingested) == {"feed0": 2, "feed1": 2, "feed2": 2}


def test_heartbeats_of_the_market_are_counted_and_not_stored() -> None:
    batch = decoded(envelope_heartbeats("mdp-market-2s")("feed", T0), envelope(TRADES_V2, TRADE, 1))
    assert (batch.outcomes.heartbeat, batch.outcomes.accepted, batch.rejects.height) == (1, 1, 0)
    assert list(batch.results) == ["trades"]


def keys(*values: bytes) -> list[bytes]:
    batch = decoded(*values)
    assert not batch.rejects.height
    return batch.results["trades"]["dedupe_key"].to_list()


def test_the_same_message_has_one_key_however_it_is_written() -> None:
    first = envelope(TRADES_V2, TRADE, 1, checksum=None)
    zone = envelope(TRADES_V2, TRADE, 1, checksum=None, event_time="2025-10-24T16:00:00.010000001+02:00")
    summed = envelope(TRADES_V2, TRADE, 1, checksum=checksum(json.dumps(TRADE).encode()))
    other_id = envelope(TRADES_V2, TRADE, 1, checksum=None, event_id="again", ingest_time="2026-01-01T00:00:00Z")
    assert len(set(keys(first, zone, summed, other_id))) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"event_type": "trades.other"},
        {"source_id": "other"},
        {"sequence": 8},
        {"sequence": None},
        {"event_time": "2025-10-24T14:00:00.010000002Z"},
    ],
)
def test_whatever_tells_messages_apart_changes_the_key(changes: dict[str, Any]) -> None:
    one = envelope(TRADES_V2, TRADE, 1, checksum=None)
    assert len(set(keys(one, envelope(TRADES_V2, TRADE, 1, **{"checksum": None, **changes})))) == 2
    assert len(set(keys(one, envelope(TRADES_V2, {**TRADE, "symbol": "B"}, 1, checksum=None)))) == 2


def test_packed_messages_are_opened(tmp_path: Path) -> None:
    large = {"headline": "h", "source": "s", "tickers": [], "body": "x" * 200_000}
    huge = {**large, "body": "y" * 2_000_000}
    codec = PayloadCodec(FolderBlobs(tmp_path))
    records = [
        One(offset, *codec.encode(envelope(NEWS_V1, content, offset), HEADERS))
        for offset, content in enumerate((large, huge))
    ]
    assert records[0].value()[:1] == b"\x1f"  # type: ignore[index]
    assert records[1].value() == b""
    assert of(*records, codec=codec).results["news"]["offset"].to_list() == [0, 1]


def test_a_packed_record_that_cannot_be_opened_keeps_what_says_how(tmp_path: Path) -> None:
    value, headers = PayloadCodec(FolderBlobs(tmp_path)).encode(envelope(NEWS_V1, b"{}" + b" " * 2_000_000, 1), HEADERS)
    batch = of(One(0, value, headers))
    assert "no blob store is named" in batch.rejects["error"][0]
    packing = json.loads(batch.rejects["packing"][0])
    assert packing == {"content_encoding": GZIP, "blob_ref": headers.blob_ref, "blob_hash": headers.blob_hash} | {
        "blob_size": str(headers.blob_size)
    }


def test_a_bomb_is_refused_and_what_says_too_little_is_not_unpacked() -> None:
    bomb = gzip.compress(b" " * (RECORD_BYTES + 1))
    liar = gzip.compress(b" " * 1_000_000)[:-4] + (1_000).to_bytes(4, "little")
    headers = msgspec.structs.replace(HEADERS, content_encoding=GZIP)
    errors = of(One(0, bomb, headers), One(1, liar, headers)).rejects["error"]
    assert "more than the 67,108,864 bytes" in errors[0]
    assert "more than the 1,000 bytes that it says" in errors[1]


def test_a_batch_ends_where_what_is_packed_would_become_too_large() -> None:
    packed = gzip.compress(b" " * (RECORD_BYTES // 3))
    records = Records.of([One(offset, packed if offset % 2 else b"{}") for offset in range(20)])
    assert fitting(records, Room()) == 7
    assert fitting(Records.of([One(0, gzip.compress(b" " * RECORD_BYTES * 2))]), Room()) == 1


def test_texts_are_strings_and_times_nanoseconds() -> None:
    frame = decoded(envelope(TRADES_V2, TRADE, 1)).results["trades"]
    assert frame.schema["ts"] == pl.Int64
    assert frame["ts"].to_list() == [1_761_314_400_010_000_001]
    assert frame["side"].to_list() == [None]
