import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from contracts.batch import MicroBatch, taken_as_read
from contracts.frames import HEARTBEATS
from sinks.partitioned import HeartbeatSink
from tests.harness import PACKAGES
from transports.kafka.config import KafkaConfig
from transports.kafka.producing import backpressured
from transports.kafka.topic_reader import TopicReader

PROJECT = Path(__file__).parents[2]
ROOM = 50
Topic = Callable[..., str]


def narrow(kafka: str, **more: str) -> KafkaConfig:
    """A client that has room for few records."""
    options = {"queue.buffering.max.messages": str(ROOM), **more}
    return KafkaConfig.model_validate({"brokers": kafka, "options": options})


def count(config: KafkaConfig, topic: str) -> int:
    with TopicReader(config, topic) as reader:
        return reader.bounds(0)[1]


def test_a_client_that_is_full_holds_its_caller_back(kafka: str, topic: Topic) -> None:
    config, name = narrow(kafka), topic()
    producer = Producer(config.client(linger_ms=20))
    produce = backpressured(producer)
    for number in range(20 * ROOM):
        produce(name, b"%d" % number, partition=0)
    assert producer.flush(30) == 0
    assert count(config, name) == 20 * ROOM


def test_a_record_that_never_has_room_is_not_waited_for(kafka: str, topic: Topic) -> None:
    producer = Producer(narrow(kafka, **{"queue.buffering.max.kbytes": "1"}).client())
    with pytest.raises(KafkaException) as raised:
        backpressured(producer)(topic(), bytes(5_000))
    assert raised.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE


def test_waiting_ends_when_it_is_said_to_be_of_no_use() -> None:
    def check() -> None:
        raise ConnectionError("nobody is there")

    produce = backpressured(Producer({"bootstrap.servers": "127.0.0.1:1", "queue.buffering.max.messages": 1}), check)
    produce("nowhere", b"1")
    with pytest.raises(ConnectionError):
        produce("nowhere", b"2")


def test_many_providers_fall_silent_at_once(kafka: str, topic: Topic) -> None:
    config, name, providers = narrow(kafka), topic(), 40 * ROOM
    silent = {"provider": [f"P{number}" for number in range(providers)], "src_ts": [10**18] * providers}
    batch = MicroBatch(topic=name, partition=0, next_offset=0)
    sink = HeartbeatSink(config, taken_as_read).build("heartbeats", 0, 1)
    sink.write_batch([("0", replace(batch, heartbeats=pl.DataFrame(silent, schema=HEARTBEATS)))])
    with TopicReader(config, name) as reader:
        found = {message.value() for messages in reader.span(0, 0, providers) for message in messages}
    assert len(found) == providers


def test_nothing_is_produced_past_the_backpressure() -> None:
    files = [file for package in PACKAGES for file in (PROJECT / package).rglob("*.py") if file.name != "producing.py"]
    direct = [
        f"{file.relative_to(PROJECT)}:{node.lineno}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "produce" and "producer" in ast.unparse(node.value)
    ]
    assert direct == []
