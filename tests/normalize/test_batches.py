"""Fetches of raw records to micro-batches: what they refuse, and how large envelopes leave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codec.encoding import PayloadCodec
from codec.output_records import envelope_records, refused_records
from codec.refused import rows_in
from contracts.batch import MicroBatch
from contracts.headers import decode_headers
from contracts.message import MessageType
from contracts.record import Fetch, Records
from contracts.registry import message_type, open_envelope
from contracts.schema_names import RAW, name_of
from normalize.batches import RawDecoder
from normalize.feed import Feed
from normalize.mapping import parse_mapping
from normalize.normalizer import Normalizer
from tests.codec.large_payloads import noise
from tests.contracts.installed_types import installed
from transports.blobs.store import open_store

TRADES: dict[str, Any] = {
    "type": "trades/v2",
    "each": "trades",
    "event_time": {"path": "at", "unit": "ms"},
    "sequence": "n",
    "fields": {"symbol": "^s", "price": "p", "size": {"value": 1}},
}


def fetch(documents: list[Any], first: int = 0) -> Fetch:
    values = [document if document is None else json.dumps(document).encode() for document in documents]
    offsets = range(first, first + len(values))
    records = Records.of_values(values, offsets, [1_762_795_381_000 + offset for offset in offsets])
    return Fetch(topic="raw", partition=2, next_offset=offsets.stop, records=records)


def decoded(mapping: dict[str, Any], *fetches: Fetch, payloads: PayloadCodec | None = None) -> MicroBatch:
    normalizer = Normalizer([parse_mapping(mapping)], Feed("acme"))
    return RawDecoder(normalizer, payloads or PayloadCodec(), note_skipped=lambda _: None).decode_all(fetches)


def sent(batch: MicroBatch, kind: MessageType) -> list[tuple[bytes, dict[str, Any]]]:
    """Value and headers of each record."""
    records = envelope_records(batch.results[kind.id], name_of(kind), "acme")
    return [(record.value or b"", dict(record.headers)) for record in records]


def trade(number: int, price: Any = 1.5) -> dict[str, Any]:
    return {"at": 1_762_795_380_000 + number, "n": number, "p": price}


def test_messages_are_in_the_order_of_the_log_and_say_where_they_came_from() -> None:
    one = fetch([{"s": "A", "trades": [trade(1), trade(2)]}, {"s": "B", "trades": []}])
    two = fetch([{"s": "C", "trades": [trade(3)]}], first=2)
    batch = decoded(TRADES, one, two)
    rows = batch.results["trades/v2"]
    assert rows.select("offset", "row").rows() == [(0, 0), (0, 1), (2, 0)]
    assert (batch.next_offset, batch.outcomes.accepted, dict(batch.ingested)) == (3, 3, {"acme": 3})
    marks = [json.loads(value)["watermark"] for value in rows["value"]]
    assert marks == [{"partition": "raw[2]", "offset": offset} for offset in (0, 0, 2)]
    assert json.loads(rows["value"][2])["ingest_time"] == "2025-11-10T17:23:01.002000Z"


def test_a_refused_record_leaves_once_with_its_bytes_and_says_which_of_its_messages_it_is_for() -> None:
    several = {"s": "A", "trades": [trade(1), trade(2, "x"), trade(3), trade(4, "y")]}
    batch = decoded(TRADES, fetch([several, None, {"s": "A"}]))
    assert batch.outcomes.rejected == 4
    first, none, no_list = refused_records(batch.rejects, batch.topic, batch.partition, RAW)
    headers = dict(first.headers)
    assert (first.cause, first.value) == ((0, 1), json.dumps(several).encode())
    rows = headers["source_rows"]
    assert isinstance(rows, bytes)
    assert rows_in(rows).tolist() == [1, 3]
    assert first.header("dlq_reason") == "contract"
    assert "at `$.price` (the first of 2 rows)" in first.header("dlq_error")
    assert (none.header("dlq_reason"), none.value) == ("undecodable", None)
    assert (no_list.header("dlq_reason"), no_list.cause) == ("mapping", (2, 0))
    assert len(batch.results["trades/v2"]) == 2


def test_what_is_left_out_is_counted() -> None:
    counts: list[int] = []
    mapping = parse_mapping({**TRADES, "where": {"k": "t"}})
    decoder = RawDecoder(Normalizer([mapping], Feed("acme"), skip_unmapped=True), PayloadCodec(), counts.append)
    batch = decoder.decode_all(
        [fetch([{"k": "ping"}] * 3), fetch([{"k": "t", "s": "A", "trades": [trade(1)]}], first=3)]
    )
    assert counts == [3, 0]
    assert (batch.outcomes.accepted, batch.outcomes.rejected) == (1, 0)


DUMPS = '''
import msgspec
from contracts.message import MessageType
from contracts.values import Text

class Dump(msgspec.Struct):
    """Whatever a venue says at once."""
    symbol: Text
    content: dict[str, str]

DUMPS = MessageType(
    name="dumps", version="1.0.0", struct=Dump, event_type="dumps.all", examples=({"symbol": "A", "content": {}},)
)
'''
DUMP: dict[str, Any] = {"type": "dumps/v1", "event_time": "at", "fields": {"symbol": "s", "content": "c"}}


@pytest.fixture
def dumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MessageType]:
    """A type of messages of any size."""
    with installed(tmp_path, monkeypatch, "desk_dumps", DUMPS, "[mdp.contracts]\ndumps = desk_dumps:DUMPS\n"):
        yield message_type("dumps/v1")


def dump(size: int) -> dict[str, Any]:
    return {"at": "2025-11-10T17:23:00Z", "s": "A", "c": {"text": noise(size // 2).hex()}}


@pytest.mark.parametrize("size", [1 << 10, 1 << 18, 1 << 21])
def test_envelopes_of_any_size_read_back_by_what_their_headers_say(
    dumps: MessageType, tmp_path: Path, size: int
) -> None:
    codec = PayloadCodec(open_store(str(tmp_path)))
    ((value, own),) = sent(decoded(DUMP, fetch([dump(size)]), payloads=codec), dumps)
    flush = {"produced_at": b"2025-11-10T17:23:01Z", "producer": b"normalize@here", "run_id": b"run"}
    headers = decode_headers([*own.items(), *flush.items()])
    assert (headers.content_encoding, headers.blob_size is not None) == (
        "gzip" if size > 1 << 17 else None,
        size > 1 << 20,
    )
    envelope, message = open_envelope(codec.decode(value, headers))
    assert message.content == dump(size)["c"]
    assert (headers.message_id, headers.partition_key, headers.source) == (envelope.event_id, "A", "acme")


@pytest.mark.usefixtures("dumps")
def test_what_only_a_blob_store_could_hold_is_refused_without_one() -> None:
    batch = decoded(DUMP, fetch([dump(1 << 21), dump(10)]))
    assert batch.rejects.select("offset", "reason").rows() == [(0, "contract")]
    assert "name a blob store" in batch.rejects["error"][0]
    assert batch.results["dumps/v1"]["offset"].to_list() == [1]
    assert (batch.outcomes.accepted, batch.outcomes.rejected) == (1, 1)
