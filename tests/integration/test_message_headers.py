"""What leaves has the headers of a message: the same whenever the log is run, and in the trace that it came in."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from typing import Any

import pytest
from confluent_kafka import Producer

from contracts.headers import MessageHeaders, decode_headers
from contracts.record import Headers
from contracts.trace_context import new_trace
from tests.harness import Deployment, Deployments, Record, assert_same, create_topic, records

START = 1_761_314_400_000  # 2025-10-24T14:00:00Z, in milliseconds
PARTITIONS = 2
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CHANGES: dict[int, dict[str, Any]] = {3: {"v": -1}, 8: {"v": "1"}, 9: {"src_ts": "2025-10-24T13:00:00Z"}}
SECTIONS: dict[str, Any] = {"features": {"windows": [{"name": "vwap_2s", "horizon": "2s"}]}}
RULES = [{"name": "seen", "condition": "close > 0", "signal": 1.0, "score": 1.0}]


def tick(number: int, **changes: Any) -> bytes:
    at = START + 100 * number
    event = {
        "ver": 1,
        "provider": "feed",
        "symbol": f"S{number % 4}",
        "kind": "tick",
        "src_ts": f"2025-10-24T14:00:{at // 1_000 % 60:02}.{at % 1_000:03}Z",
        "c": 100.0,
        "v": 1.0,
        "seq": number,
        **changes,
    }
    return json.dumps(event).encode()


def trace(number: int) -> str:
    return f"{TRACE[:36]}{number + 1:016x}-01"


@pytest.fixture(scope="module")
def flow(deploy: Deployments) -> Deployment:
    """Of a hundred records each fifth is refused, and each tenth is late; the traces of some are to be ignored."""
    kafka = deploy.stack.kafka.bootstrap
    events = create_topic(kafka, "events", PARTITIONS, message_timestamp_type="CreateTime", retention_ms="-1")
    producer = Producer({"bootstrap.servers": kafka})
    for number in range(100):
        changes = CHANGES.get(number % 10, {})
        told = trace(number) if number % 20 < 10 else TRACE.upper()
        key = None if number % 10 == 3 else f"S{number % 4}".encode()
        headers: Headers = [("traceparent", told.encode()), ("x", b"y")]
        at = START + 100 * number
        producer.produce(events, tick(number, **changes), key, number % PARTITIONS, timestamp=at, headers=headers)
    assert producer.flush(30) == 0
    deployment = deploy(events, partitions=PARTITIONS, rules=RULES, name="headers", **SECTIONS)
    deployment.run()
    return deployment


def written(flow: Deployment, kind: str) -> list[tuple[Record, MessageHeaders]]:
    found = records(flow.kafka, flow.topics[kind], without=())
    return [(record, decode_headers(list(record.headers))) for record in found]


@pytest.mark.parametrize(
    ("kind", "schema", "count"),
    [("signals", "utp.signals.v1", 20), ("dlq", "utp.events.v1", 20), ("late", "utp.events.v1", 8)],
)
def test_each_record_has_the_headers_of_a_message(flow: Deployment, kind: str, schema: str, count: int) -> None:
    messages = written(flow, kind)
    assert len(messages) >= count
    assert {headers.schema_fqdn for _, headers in messages} == {schema}
    assert {headers.schema_version for _, headers in messages} == {"1.0.0"}
    assert {headers.content_type for _, headers in messages} <= {"application/json", "application/msgpack"}
    assert len({headers.message_id for _, headers in messages}) == len(messages)
    assert len({headers.dedupe_key for _, headers in messages}) == len(messages)
    assert all(headers.producer.startswith("headers-market-2s@") for _, headers in messages)
    assert all(record.header("content-type") == headers.content_type for record, headers in messages)


def test_a_signal_says_what_it_is_in_order_by_and_whose_it_is(flow: Deployment) -> None:
    for record, headers in written(flow, "signals"):
        content = record.json
        assert headers.partition_key == f"rules|{content['symbol']}|2s"
        assert (headers.dedupe_key, headers.source) == (content["signal_id"], "feed")
        assert headers.traceparent == new_trace(headers.message_id).decode()


def test_the_run_is_the_one_in_the_database(flow: Deployment) -> None:
    runs = {headers.run_id for kind in ("signals", "dlq", "late") for _, headers in written(flow, kind)}
    assert runs <= {run for (run,) in flow.query("SELECT run_id::text FROM job_runs")}
    assert runs


@pytest.mark.parametrize("kind", ["dlq", "late"])
def test_what_is_refused_stays_in_the_trace_of_its_event(flow: Deployment, kind: str) -> None:
    for record, headers in written(flow, kind):
        seq = record.json["seq"]
        if seq % 20 < 10:
            assert headers.traceparent == trace(seq)
        else:  # W3C has such a header ignored
            assert headers.traceparent == new_trace(headers.message_id).decode()
        place = f"{flow.events}[{record.partition}]"
        assert headers.partition_key == (place if record.key is None else record.key.decode())
        assert headers.dlq_reason == record.header("dlq_reason")


def test_bars_are_messages_too_and_both_flows_refuse_a_record_by_one_id(deploy: Deployments, flow: Deployment) -> None:
    bars = deploy(flow.events, partitions=PARTITIONS, name="bars", **SECTIONS)
    for name in ("micro_batch", "market"):
        bars.run(flow=name)
    messages = written(bars, "bars")
    assert {headers.schema_fqdn for _, headers in messages} == {"utp.bars.v1"}
    assert all(headers.partition_key == record.json["symbol"] for record, headers in messages)
    assert len({headers.message_id for _, headers in messages}) == len(messages) > 10
    assert set(Counter(headers.message_id for _, headers in written(bars, "dlq")).values()) == {2}


@pytest.mark.slow
def test_the_same_log_makes_messages_of_the_same_ids_wherever_it_is_run(deploy: Deployments, flow: Deployment) -> None:
    again = deploy(flow.events, partitions=PARTITIONS, rules=RULES, name="again", **SECTIONS)
    again.run("micro_batch.max_batch_size=7", workers=2)
    assert_same(again.output(), flow.output())


def test_a_run_without_saved_state_finds_that_all_of_it_is_there(flow: Deployment) -> None:
    output = {kind: records(flow.kafka, topic, without=()) for kind, topic in flow.topics.items()}
    shutil.rmtree(flow.home / "recovery")
    flow.run()
    assert {kind: records(flow.kafka, topic, without=()) for kind, topic in flow.topics.items()} == output


def test_an_event_that_is_sent_again_is_another_message_in_the_same_trace(flow: Deployment) -> None:
    refused = {record.json["seq"]: headers for record, headers in written(flow, "dlq")}
    code, said = flow.mdp("dlq", "redrive", "--fix", ".v = 1", "--json")
    assert code == 0, said
    sent = records(flow.kafka, flow.events, without=())
    again = [(one, decode_headers(list(one.headers))) for one in sent if "retry_count" in dict(one.headers)]
    assert len(again) == 20
    for record, headers in again:
        before = refused[record.json["seq"]]
        assert headers.traceparent == before.traceparent
        assert (headers.retry_count, headers.content_type) == (1, "application/json")
    ids = [headers.message_id for headers in (*refused.values(), *(headers for _, headers in again))]
    assert len(set(ids)) == len(ids) == 40
    marks = [headers for _, headers in written(flow, "dlq") if headers.schema_fqdn == "mdp.dlq_mark.v1"]
    assert {headers.traceparent for headers in marks} == {headers.traceparent for headers in refused.values()}
