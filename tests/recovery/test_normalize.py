"""Raw topics to canonical ones: each raw record once, through kills at any point and other numbers of workers."""

from __future__ import annotations

import json
import random
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from contracts.registry import open_envelope
from tests.harness import Deployment, Deployments, Record, kill, records, until
from tests.recovery.crashing_worker import TAKEOVER
from tests.recovery.test_crash_points import crash
from transports.kafka.partitioner import murmur2

SYMBOLS = 20
RAW_PARTITIONS = 3
PARTITIONS = 4  # of the topics of trades and quotes
EVERY = 50  # which raw message is none
SEED = 20251110
POINTS = (
    "records are sent and not committed",
    "records are committed",
    "other claimants are locked out",
    "former writers are fenced",
    "a writer is named",
    "partitions are taken over",
    "a barrier begins",
    "a state is saved",
)
MAPPING = [
    {
        "type": "trades/v2",
        "where": {"k": "t"},
        "each": "trades",
        "event_time": {"path": "at", "unit": "ms"},
        "sequence": "n",
        "fields": {"symbol": "^s", "price": "p", "size": {"value": 1}},
    },
    {
        "type": "quotes/v2",
        "where": {"k": "q"},
        "event_time": {"path": "at", "unit": "ms"},
        "fields": {"symbol": "s", "bid": "p", "ask": "p"},
    },
]


def raw_message(number: int) -> bytes:
    """A quote, or one to three trades; now and then something else."""
    symbol, at = f"S{number % SYMBOLS}", 1_762_795_380_000 + number
    if number % EVERY == 0:
        return b'{"k":"q","s":"S1","at":"soon"}'
    if number % 2:
        return json.dumps({"k": "q", "s": symbol, "at": at, "p": f"{number}.5"}).encode()
    trades = [{"at": at, "n": number * 10 + one, "p": number} for one in range(1 + number % 3)]
    return json.dumps({"k": "t", "s": symbol, "trades": trades}).encode()


def send(kafka: str, topic: str, numbers: range) -> None:
    """Messages of a symbol go to all partitions: whoever fills a raw topic may have no keys."""
    producer = Producer({"bootstrap.servers": kafka, "linger.ms": 20})
    for number in numbers:
        timestamp = 1_762_795_380_000 + number
        producer.produce(topic, raw_message(number), partition=number % RAW_PARTITIONS, timestamp=timestamp)
    assert producer.flush(60) == 0


class Normalizing:
    """A deployment of the flow with canonical topics of its own."""

    def __init__(self, deploy: Deployments, raw: str, name: str) -> None:
        self.env = f"t{uuid.uuid4().hex[:8]}"
        mapping = deploy.folder / f"{self.env}.yaml"
        mapping.write_text(yaml.safe_dump(MAPPING))
        self.topics = {kind: f"utp.{self.env}.desk.{kind}" for kind in ("trades.tick", "quotes.tick")}
        admin = AdminClient({"bootstrap.servers": deploy.stack.kafka.bootstrap, "log_level": 0})
        for created in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in self.topics.values()]).values():
            created.result(30)
        source = {"topic": raw, "mapping": str(mapping), "source_id": "acme"}
        self.raw = raw
        self.deployment: Deployment = deploy(
            raw,
            partitions=RAW_PARTITIONS,
            name=name,
            messages={"env": self.env, "realm": "desk"},
            normalize={"sources": [source]},
            micro_batch={"max_batch_size": 100},
        )

    def run(self, workers: int = 1) -> None:
        self.deployment.run(flow="normalize", workers=workers)

    def messages(self, kind: str) -> list[Record]:
        return records(self.deployment.kafka, self.topics[kind])

    def outputs(self) -> dict[str, list[tuple[Any, ...]]]:
        """All messages and refused records by where they came from; symbols may share a partition in any order."""
        every = {kind: self.messages(kind) for kind in self.topics} | {"dlq": self.deployment.records("dlq")}
        return {kind: sorted(map(_told, found)) for kind, found in every.items()}


def _told(record: Record) -> tuple[Any, ...]:
    origin = [int(record.header(f"source_{name}")) for name in ("partition", "offset", "row")]
    return *origin, record.partition, record.key, record.value, record.headers


@pytest.fixture(scope="module")
def raw(deploy: Deployments) -> str:
    admin = AdminClient({"bootstrap.servers": deploy.stack.kafka.bootstrap, "log_level": 0})
    name = f"raw.{uuid.uuid4().hex}"
    config = {"retention.ms": "-1", "message.timestamp.type": "CreateTime"}
    admin.create_topics([NewTopic(name, RAW_PARTITIONS, 1, config=config)])[name].result(30)
    send(deploy.stack.kafka.bootstrap, name, range(3_000))
    return name


@pytest.fixture(scope="module")
def whole(deploy: Deployments, raw: str) -> Normalizing:
    """What one undisturbed run makes of it."""
    flow = Normalizing(deploy, raw, "whole")
    flow.run()
    return flow


def test_each_raw_record_becomes_its_messages_keyed_by_symbol_and_in_order(whole: Normalizing) -> None:
    trades, quotes = whole.messages("trades.tick"), whole.messages("quotes.tick")
    refused = whole.deployment.records("dlq")
    expected = [number for number in range(3_000) if number % EVERY]
    assert len(quotes) == sum(number % 2 for number in expected)
    assert len(trades) == sum(1 + number % 3 for number in expected if not number % 2)
    assert {record.header("dlq_reason") for record in refused} == {"mapping"}
    assert [record.value for record in refused] == [raw_message(0)] * (3_000 // EVERY)
    for record in (*trades, *quotes):
        assert record.partition == (murmur2(record.key or b"") & 0x7FFFFFFF) % PARTITIONS
        envelope, message = open_envelope(record.value or b"")
        assert (record.key or b"").decode() == message.symbol == record.header("partition_key")
        assert envelope.event_id == record.header("message_id")
    _assert_in_order(trades)
    _assert_in_order(quotes)


def _assert_in_order(found: Sequence[Record]) -> None:
    last: dict[tuple[bytes | None, str], tuple[int, int]] = {}
    for record in found:
        place = record.key, record.header("source_partition")
        now = int(record.header("source_offset")), int(record.header("source_row"))
        assert now > last.get(place, (-1, -1))
        last[place] = now


@pytest.mark.slow
def test_a_crash_at_any_point_loses_and_repeats_no_message(deploy: Deployments, raw: str, whole: Normalizing) -> None:
    chance, flow = random.Random(SEED), Normalizing(deploy, raw, "crashing")
    for point in chance.sample(POINTS, len(POINTS)):
        crash(flow.deployment, point, 1 if point in TAKEOVER else chance.randrange(1, 3), "normalize")
    flow.run()
    assert flow.outputs() == whole.outputs()


def test_a_run_from_the_start_repeats_nothing(deploy: Deployments, raw: str, whole: Normalizing) -> None:
    flow = Normalizing(deploy, raw, "reset")
    flow.run()
    code, said = flow.deployment.mdp("stream", "normalize", "--until-end", "--reset-state", "--quiet")
    assert code == 0, said
    assert flow.outputs() == whole.outputs()


@pytest.mark.slow
def test_kills_and_other_numbers_of_workers_lose_and_repeat_no_message(deploy: Deployments) -> None:
    kafka = deploy.stack.kafka.bootstrap
    admin = AdminClient({"bootstrap.servers": kafka, "log_level": 0})
    name = f"raw.{uuid.uuid4().hex}"
    admin.create_topics([NewTopic(name, RAW_PARTITIONS, 1, config={"retention.ms": "-1"})])[name].result(30)
    flow, part, sent = Normalizing(deploy, name, "rescaled"), 2_000, 0
    for workers in (1, 2, 3, 1):
        running = flow.deployment.start(flow="normalize", workers=workers)
        send(kafka, name, range(sent, sent + part))
        sent += part
        until(lambda: flow.deployment.progress > sent - part // 2, "half of a part")  # noqa: B023
        kill(running)
    flow.run(workers=2)
    undisturbed = Normalizing(deploy, name, "undisturbed")
    undisturbed.run()
    assert flow.outputs() == undisturbed.outputs()
    counts = Counter(one[:3] for found in flow.outputs().values() for one in found)
    assert set(counts.values()) == {1}


def test_a_mistake_of_the_config_is_one_line_before_anything_is_read(deploy: Deployments, raw: str) -> None:
    flow = Normalizing(deploy, raw, "mistaken")
    mapping = Path(flow.deployment.folder / "mapping.yaml")
    source = {"topic": raw, "mapping": str(mapping), "source_id": "acme"}
    for text, error in (
        ("{ type: trade/v2, jq: . }", "no message type is called 'trade/v2'; did you mean trades/v2?"),
        ("{ type: trades/v2, event_time: t, fields: { symbl: s } }", "fields.symbl: trades/v2 has no such field"),
    ):
        mapping.write_text(text)
        flow.deployment.configure({"normalize": {"sources": [source]}, "messages": {"env": flow.env, "realm": "desk"}})
        code, said = flow.deployment.mdp("stream", "normalize", "--until-end")
        assert code == 2
        assert said.strip().count("\n") == 0
        assert error in said
    flow.deployment.configure({"normalize": {"sources": [{**source, "mapping": "gone.yaml"}]}})
    code, said = flow.deployment.mdp("stream", "normalize")
    assert (code, "gone.yaml: cannot read the mapping" in said) == (2, True)
    flow.deployment.configure({})
    code, said = flow.deployment.mdp("stream", "normalize")
    assert (code, "normalize.sources is empty" in said) == (2, True)
    assert flow.deployment.progress == 0
