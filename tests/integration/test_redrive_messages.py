"""What persist has refused goes back to its topic, mended, and is stored once."""

from __future__ import annotations

import json
import shutil
import uuid
from typing import Any

import pytest
from confluent_kafka import Producer

from contracts.payloads.trades import TRADES_V2
from tests.harness import Deployment, Deployments, create_topic, records
from tests.message_log import envelope, row_versions

PARTITIONS = 2
MEND = ".payload |= (.price = .px | del(.px)) | del(.checksum)"  # which is that of the message as it was


def sent(number: int) -> bytes:
    """Every third message calls its price px, and has a checksum or not; the last is no JSON."""
    price = "px" if number % 3 == 0 else "price"
    value = envelope(TRADES_V2, {"symbol": f"S{number}", price: 1.5 + number, "size": 2}, number)
    return value if number < 11 else value[:-1]


@pytest.fixture(scope="module")
def persisted(deploy: Deployments) -> Deployment:
    kafka = deploy.stack.kafka.bootstrap
    trades = create_topic(kafka, "trades", PARTITIONS, retention_ms="-1")
    producer = Producer({"bootstrap.servers": kafka})
    for number in range(12):
        producer.produce(trades, sent(number), f"S{number}".encode(), number % PARTITIONS)
    assert producer.flush(30) == 0
    name = f"redriven-{uuid.uuid4().hex[:6]}"
    flow = deploy(trades, partitions=PARTITIONS, name=name, messages={"topics": [trades]})
    flow.run(flow="persist")
    return flow


def redriven(flow: Deployment, *arguments: str) -> dict[str, Any]:
    code, said = flow.mdp("dlq", "redrive", "--fix", MEND, "--contains", "px", *arguments, "--json")
    assert code == 0, said
    account: dict[str, Any] = json.loads(said.splitlines()[-1])
    return account


def test_messages_of_a_topic_are_mended_sent_back_and_stored_once(persisted: Deployment) -> None:
    assert persisted.query("SELECT count(*) FROM trades") == [(7,)]
    assert len(persisted.records("dlq")) == 5
    first, again = redriven(persisted), redriven(persisted)
    assert (first["sent"], again["sent"], again["redriven"]) == (4, 0, 4)
    persisted.run(flow="persist")
    stored = persisted.query("SELECT symbol, price, sequence FROM trades ORDER BY ts")
    assert stored == [(f"S{number}", 1.5 + number, number if number % 3 else None) for number in range(11)]
    before = row_versions(persisted.database, [TRADES_V2])
    shutil.rmtree(persisted.home)  # without saved state it reads the refused ones again, too
    persisted.run(flow="persist")
    assert row_versions(persisted.database, [TRADES_V2]) == before
    assert redriven(persisted)["sent"] == 0


def test_a_message_that_was_sent_back_keeps_its_place_and_says_what_it_is(persisted: Deployment) -> None:
    found = [one for one in records(persisted.kafka, persisted.events) if ("retry_count", b"1") in one.headers]
    assert sorted((one.key, one.partition) for one in found) == [(b"S%d" % n, n % PARTITIONS) for n in (0, 3, 6, 9)]
    for one in found:
        assert one.header("schema_fqdn") == "utp.envelope.v1"
        assert one.header("redriven_from").startswith(persisted.events)
