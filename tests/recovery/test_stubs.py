"""Refused and late records that compression had made small, and their topics do not take: stubs, and back again."""

import hashlib
import io
import json
import random
from typing import Any

import pyarrow as pa
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from contracts.record import Headers
from tests.harness import Deployment, Deployments, Record, create_topic, records

START = 1_761_314_400_000  # milliseconds; a whole window
NOTE = random.Random(1).randbytes(100_000).hex() * 23  # zstd finds what comes again so far away, and lz4 does not
KEPT = 65_536


def tick(second: float, **more: Any) -> bytes:
    at = f"2025-10-24T14:00:{second:09.6f}Z"
    event = {"ver": 1, "provider": "feed", "symbol": "SPY", "kind": "tick", "src_ts": at, "c": 1.0, "v": 1.0}
    return json.dumps({**event, **more}).encode()


BROKEN = tick(1, c="dear", note=NOTE)
LATE = tick(2, seq=7, note=NOTE)


@pytest.fixture(scope="module")
def flow(deploy: Deployments) -> Deployment:
    """It has read good events, one that is broken, one that is late, and one with nothing but a key."""
    kafka = deploy.stack.kafka.bootstrap
    events = create_topic(kafka, "large", 1, message_timestamp_type="CreateTime", retention_ms="-1")
    producer = Producer({"bootstrap.servers": kafka, "compression.type": "zstd", "message.max.bytes": 10_000_000})
    key_only = NOTE.encode()
    for value, key in ((tick(0), b"SPY"), (BROKEN, b"k"), (tick(50), b"SPY"), (LATE, b"SPY"), (None, key_only)):
        producer.produce(events, value, key, 0, timestamp=START + 60_000)
        assert producer.flush(30) == 0  # a batch of its own
    flow = deploy(events, partitions=1, name="large")
    flow.run()
    return flow


def stub(record: Record) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(record.header("stub"))
    return content


def test_what_is_too_large_leaves_as_a_stub_that_says_where_the_log_holds_it(flow: Deployment) -> None:
    broken, key_only = flow.records("dlq")
    (late,) = flow.records("late")
    for record, value, offset in ((broken, BROKEN, "1"), (late, LATE, "3")):
        assert record.value == value[:KEPT]
        assert stub(record)["value_bytes"] == len(value)
        assert stub(record)["sha256"] == hashlib.sha256(value).hexdigest()
        assert "in the log" in stub(record)["original"]
        assert (record.header("source_topic"), record.header("source_offset")) == (flow.events, offset)
    assert broken.header("dlq_reason") == "undecodable"
    assert (key_only.key, stub(key_only)["key_bytes"]) == (NOTE.encode()[:KEPT], len(NOTE))


def test_inspect_shows_what_stands_for_what(flow: Deployment) -> None:
    code, said = flow.mdp("dlq", "inspect", "--json", "--offset", "0")
    shown = json.loads(said)
    assert (code, shown["stub"]["value_bytes"], len(shown["payload"])) == (0, len(BROKEN), KEPT)
    assert f"[of {len(BROKEN):,} bytes" in " ".join(flow.mdp("dlq", "inspect")[1].split())


def test_late_repair_reads_what_a_stub_stands_for(flow: Deployment) -> None:
    code, said = flow.mdp("late", "repair", "--json")
    assert (code, json.loads(said)["late_events"]) == (0, 1), said
    assert flow.query("SELECT sum(trades)::bigint FROM bars_ohlcv WHERE window_start < '2025-10-24 14:00:04Z'") == [
        (2,)
    ]


def test_redrive_sends_what_a_stub_stands_for_and_says_so_when_the_log_has_lost_it(flow: Deployment) -> None:
    assert (
        json.loads(flow.mdp("dlq", "redrive", "--json", "--reason", "undecodable", "--contains", "dear")[1])["sent"]
        == 1
    )
    *_, again = records(flow.kafka, flow.events)
    assert (again.key, again.value) == (b"k", BROKEN)
    flow.run()  # and refuses it again
    place = TopicPartition(flow.events, 0, -1)
    admin = AdminClient({"bootstrap.servers": flow.kafka})
    admin.delete_records([place])[place].result(30)
    code, said = flow.mdp("dlq", "redrive", "--contains", "dear")
    assert code == 0
    assert f"{flow.events}[0]@5 is no longer in the log" in said


def test_a_row_of_an_arrow_record_that_is_too_large_alone_leaves_with_its_record(deploy: Deployments) -> None:
    columns = {
        "provider": ["feed"] * 2,
        "symbol": ["SPY", ""],
        "kind": ["tick"] * 2,
        "src_ts": pa.array([START * 1_000_000] * 2, pa.timestamp("ns", tz="UTC")),
        "c": [1.0, 2.0],
        "v": [1.0] * 2,
        "note": ["", NOTE],
    }
    sink, table = io.BytesIO(), pa.table(columns)
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    value = sink.getvalue()
    flow = deploy(partitions=1, name="arrow")
    options = {"compression.type": "zstd", "message.max.bytes": 10_000_000}
    producer = Producer({"bootstrap.servers": flow.kafka, **options})
    headers: Headers = [("content-type", b"application/vnd.apache.arrow.stream")]
    producer.produce(flow.events, value, None, 0, headers=headers)
    assert producer.flush(30) == 0
    flow.run()
    (record,) = flow.records("dlq")
    assert (record.value, record.header("source_row")) == (value, "1")
    assert json.loads(flow.mdp("dlq", "redrive", "--json")[1])["sent"] == 1
    *_, again = records(flow.kafka, flow.events)
    assert len(again.value or b"") > len(NOTE)
    flow.run()
    assert flow.query("SELECT sum(accepted)::bigint, sum(rejected)::bigint FROM progress") == [(1, 2)]
