"""Silence is confirmed up to the end of the log, not up to the first record of an open transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from prometheus_client import REGISTRY

from codec.decode import Decoder
from contracts.batch import MicroBatch
from contracts.partition_keys import part_name
from telemetry.outage import Outage
from tests.harness import until
from tests.open_transaction import opened
from tests.transports.first_reading import FirstReading
from transports.kafka.config import KafkaConfig
from transports.kafka.end_offsets import Confirmation, EndOffsets, Silence
from transports.kafka.open_transactions import OpenTransaction, open_transactions
from transports.kafka.partition import KafkaPartition
from transports.kafka.source import Bounds, KafkaSource
from transports.kafka.topic_identity import TopicIdentity
from transports.kafka.topics import log_ends

TIMEOUT_NS = 400_000_000


class Log:
    """A partition that is read at once, as far as it can be."""

    def __init__(self, config: KafkaConfig, consumer: Consumer) -> None:
        self.config, self._consumer = config, consumer
        self.ends = EndOffsets(config, config.topic, TIMEOUT_NS, Outage("Kafka"))
        self.ends.watch(0, lambda: max(0, self.latest.end - self.position) if self.ends.latest(0) else 0)
        self.silence = Silence(self.ends, 0)
        until(lambda: self.ends.latest(0), "an answer")

    @property
    def position(self) -> int:
        return self._consumer.get_watermark_offsets(TopicPartition(self.config.topic, 0), timeout=10)[1]

    @property
    def end(self) -> int:
        return log_ends(self.config, self.config.topic, [0])[0]

    def is_read_to(self, end: int) -> bool:
        return self.position >= end

    @property
    def latest(self) -> Confirmation:
        latest = self.ends.latest(0)
        assert latest is not None
        return latest

    def opened(self, *values: bytes) -> Producer:
        return opened(self.config.brokers, self.config.topic, values)

    def confirmed(self) -> Confirmation | None:
        return self.silence.confirmed(self.position)

    def next_answer(self) -> Confirmation:
        """The answer of the broker to a request sent after the call."""
        former = self.latest
        until(lambda: self.latest.asked_at > former.asked_at, "an answer that may have been under way")
        between = self.latest
        until(lambda: self.latest.asked_at > between.asked_at, "an answer")
        return self.latest

    def open_seconds(self) -> float | None:
        labels = {"topic": self.config.topic, "partition": "0"}
        return REGISTRY.get_sample_value("stream_open_transaction_seconds", labels)


@pytest.fixture
def log(kafka: str, topic: Callable[..., str]) -> Iterator[Log]:
    config = KafkaConfig(brokers=kafka, topic=topic())
    options = config.client(group_id="reader", isolation_level="read_committed")
    with closing(Consumer(options)) as consumer:
        made = Log(config, consumer)
        yield made
        made.ends.leave(0)


def read_to_end(partition: KafkaPartition) -> Iterator[MicroBatch]:
    while True:
        try:
            batches = list(partition.next_batch())
        except StopIteration:
            return
        yield from (batch for _, batch in batches)


def test_records_that_cannot_be_read_yet_are_no_silence(log: Log) -> None:
    until(log.confirmed, "silence before any record")
    producer = log.opened(b"held back")
    begun = log.next_answer().asked_at
    for _ in range(5):
        log.next_answer()
        found = log.confirmed()
        assert found is None or found.asked_at < begun
    assert log.latest.end == log.end > log.position
    producer.commit_transaction(30)
    until(lambda: (found := log.confirmed()) and found.asked_at >= begun, "silence after the transaction")


@pytest.mark.parametrize("how", ["commit_transaction", "abort_transaction"])
def test_the_age_of_an_open_transaction_is_shown_until_its_end(log: Log, how: str) -> None:
    log.next_answer()
    assert not log.open_seconds()
    producer = log.opened(b"held back")
    until(lambda: (log.open_seconds() or 0) > TIMEOUT_NS / 1e9, "an open transaction")
    getattr(producer, how)(30)
    until(lambda: log.open_seconds() == 0, "its end")


def test_silence_is_confirmed_although_some_transaction_is_always_open(log: Log) -> None:
    """Up to where the log ended when an earlier one was open; the present end can never be read."""
    until(log.confirmed, "silence before any record")
    former = log.opened(b"one")
    for _ in range(3):
        awaited = log.next_answer()
        assert log.confirmed() is None
        following = log.opened(b"another")
        log.next_answer()
        assert log.confirmed() is None
        former.commit_transaction(30)
        until(partial(log.is_read_to, awaited.end), "the records of the former transaction")
        found = log.confirmed()
        assert found is not None
        assert found.end <= log.position < log.end
        former = following
    former.abort_transaction(30)
    until(lambda: (found := log.confirmed()) and found.end == log.end, "silence up to the end")


def test_the_end_is_reached_if_only_control_records_are_left(log: Log) -> None:
    log.opened(b"aborted").abort_transaction(30)
    until(lambda: log.position == log.end == 2, "the marker of the abort")
    until(lambda: (found := log.confirmed()) and found.end == 2, "silence")


def test_a_bounded_read_ends_in_front_of_what_is_opened_after_its_start(log: Log) -> None:
    log.opened(b"held").commit_transaction(30)
    topic, outage = log.config.topic, Outage("Kafka")
    source = KafkaSource(
        config=log.config,
        topic=topic,
        decode=Decoder(2_000_000_000, 5_000_000_000).decode_all,
        max_batch_size=30_000,
        identity=TopicIdentity(log.config, topic, lambda: None),
        stop=threading.Event(),
        beginnings=FirstReading(),
        reach_ns=0,
        outage=outage,
        ends=EndOffsets(log.config, topic, TIMEOUT_NS, outage),
        bounds=Bounds(until_end=True),
    )
    until(lambda: log.position == log.end, "the marker of the commit")
    partition = source.build_part("events", part_name(0), None)
    producer = log.opened(b"later")
    assert [batch.rejects.height for batch in read_to_end(partition)] == [1]
    assert partition.snapshot()[1] == 2
    partition.close()
    producer.abort_transaction(30)


def test_a_transaction_is_found_by_its_first_offset_and_one_that_ends_is_not(log: Log) -> None:
    topic = log.config.topic
    log.opened(b"aborted").abort_transaction(30)
    until(lambda: log.position == 2, "the marker of the abort")
    assert open_transactions(log.config, [(topic, 0)], 60) == []
    producer = log.opened(b"held", b"back")
    later = log.opened(b"behind")
    found = open_transactions(log.config, [(topic, 0)], 0.2)
    assert found == [OpenTransaction(topic, 0, offset=2, end=5)]
    assert f"--topic {topic} --partition 0 --start-offset 2" in found[0].remedy(log.config)
    producer.abort_transaction(30)
    until(lambda: log.position == 4, "the end of the first one")
    later.abort_transaction(30)
    until(lambda: log.position == log.end, "the end of the other one")
    assert open_transactions(log.config, [(topic, 0)], 60) == []
