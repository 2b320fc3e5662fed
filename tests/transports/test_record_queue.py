"""Records come out of librdkafka's memory as confluent-kafka's objects hold them; and out of a queue of these, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from contracts.binary import BinaryColumn
from contracts.record import Record, Records
from tests.harness import until
from transports.kafka.object_queue import Notice, ObjectQueue
from transports.kafka.queues import PartitionQueue
from transports.kafka.record_queue import RecordQueue

Headers = list[tuple[str, str | bytes | None]]
Kind = Callable[[Consumer, str, int], PartitionQueue]

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

ODD: list[tuple[bytes | None, bytes | None, Headers]] = [
    (b'{"kind": "tick"}', b"SPY", [("content-type", "text/plain")]),
    (None, None, []),
    (None, b"", [("content-type", "text/plain")]),
    (b"", b"k", [("content-type", "application/json")]),
    (b"\x81\xa1c\x00\x00", b"\x00", [("content-type", b"application/msgpack")]),
    (b"\x81", None, [("content_type", "application/msgpack"), ("other", "x")]),
    (b"[1]", None, [("content-type", "first"), ("content-type", "last")]),
    (b" {}", None, [("content-type", None)]),
    (b"\x82", None, [("content-type", "text/plain"), ("content_type", "application/msgpack"), ("content", "x")]),
    (b"\x83", None, [("content_type", "application/msgpack"), ("content-type", None), ("content-type-2", "x")]),
    (b"x" * 500_000, b"y" * 10_000, [("content-type", b"\xff\xfe")]),
    (b'{"kind": "tick"}', b"SPY", [("traceparent", TRACE)]),
    (None, None, [("traceparent", TRACE)]),
    (b"\x84", None, [("content-type", "application/msgpack"), ("traceparent", "x" * 55), ("other", None)]),
    (b"{}", None, [("traceparent", TRACE), ("traceparent", TRACE[:-1])]),
    (b"{}", None, [("traceparent", TRACE + "0"), ("traceparent", TRACE), ("traceparents", "x" * 55)]),
    (b"{}", None, [("traceparent", TRACE), ("traceparent", None)]),
    (b"{}", None, [("traceparent", b"\xff" * 55)]),
]


def write(kafka: str, topic: str) -> None:
    producer = Producer({"bootstrap.servers": kafka})
    for time_ms, (value, key, headers) in enumerate(ODD, start=1):
        producer.produce(topic, value, key, headers=headers, partition=0, timestamp=time_ms)
    assert producer.flush(10) == 0


@pytest.fixture(params=[RecordQueue, ObjectQueue])
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@contextmanager
def consumer(kafka: str, topic: str) -> Iterator[Consumer]:
    made = Consumer({"bootstrap.servers": kafka, "group.id": topic, "enable.partition.eof": True})
    yield made
    made.close()


@contextmanager
def queue(kind: Kind, kafka: str, topic: str, offset: int = 0) -> Iterator[PartitionQueue]:
    with consumer(kafka, topic) as made:
        one = kind(made, topic, 0)
        one.start_at(offset)
        yield one
        one.close()


def read(one: PartitionQueue, most: int, most_bytes: int = 10**9) -> tuple[Records, list[Notice]]:
    """Everything up to the end of the partition, so many, and so large, at a time."""
    records, events, _ = one.read(0, 0)

    def is_at_the_end() -> bool:
        nonlocal records
        more, news, _ = one.read(most, most_bytes)
        assert len(more) + len(news) <= most
        assert len(more) < 2 or more.values.lengths.sum() <= most_bytes
        records = records + more
        events.extend(news)
        return bool(news)

    until(is_at_the_end, "the end of the partition")
    return records, events


def one_by_one(kafka: str, topic: str) -> list[Message]:
    with consumer(kafka, topic) as made:
        made.assign([TopicPartition(topic, 0, 0)])
        return [message for message in made.consume(len(ODD) + 1, 10.0) if message.error() is None]


def contents(column: BinaryColumn) -> list[bytes | None]:
    return list(column)


def content_types(records: Records) -> list[str]:
    return [records.content_type(index) for index in range(len(records))]


def test_every_part_of_a_record_is_as_its_object_has_it(kind: Kind, kafka: str, topic: Callable[..., str]) -> None:
    name = topic(partitions=1)
    write(kafka, name)
    expected = Records.of(cast(list[Record], one_by_one(kafka, name)))
    for most, most_bytes in ((1, 10**9), (4, 10**9), (100, 10**9), (100, 20), (100, 0), (3, 300_000)):
        with queue(kind, kafka, name) as one:
            found, _ = read(one, most, most_bytes)
        assert contents(found.values) == contents(expected.values) == [value for value, _, _ in ODD]
        assert contents(found.keys) == contents(expected.keys) == [key for _, key, _ in ODD]
        assert content_types(found) == content_types(expected)
        assert contents(found.traces) == contents(expected.traces)
        assert found.offsets.tolist() == expected.offsets.tolist() == list(range(len(ODD)))
        assert found.times_ms.tolist() == expected.times_ms.tolist()


def test_a_traceparent_counts_if_it_is_as_long_as_it_has_to_be(
    kind: Kind, kafka: str, topic: Callable[..., str]
) -> None:
    name = topic(partitions=1)
    write(kafka, name)
    with queue(kind, kafka, name, offset=11) as one:
        records, _ = read(one, 100)
    trace, other = TRACE.encode(), b"x" * 55
    assert contents(records.traces) == [trace, trace, other, None, trace, None, b"\xff" * 55]


def test_the_end_of_a_partition_comes_after_its_records_and_says_where_it_is(
    kind: Kind, kafka: str, topic: Callable[..., str]
) -> None:
    name = topic(partitions=1)
    write(kafka, name)
    with queue(kind, kafka, name, offset=len(ODD) - 2) as one:
        records, events = read(one, 100)
    assert records.offsets.tolist() == [len(ODD) - 2, len(ODD) - 1]
    assert [(event.error.code(), event.offset) for event in events] == [(KafkaError._PARTITION_EOF, len(ODD))]


def test_an_offset_that_the_log_does_not_have_is_told_and_reading_goes_on_elsewhere(
    kind: Kind, kafka: str, topic: Callable[..., str]
) -> None:
    name = topic(partitions=1)
    write(kafka, name)
    made = Consumer({"bootstrap.servers": kafka, "group.id": name, "auto.offset.reset": "error"})
    one = kind(made, name, 0)
    one.start_at(1_000)
    news: list[Notice] = []

    def has_news() -> bool:
        news.extend(one.read(10, 10**9)[1])
        return bool(news)

    until(has_news, "the news")
    assert news[0].error.code() == KafkaError._AUTO_OFFSET_RESET
    assert "offset not available" in news[0].error.str()
    one.start_at(3)
    until(lambda: len(found := one.read(1, 10**9)[0]) and found.offsets.tolist() == [3], "the record")
    one.close()
    made.close()


def test_what_is_no_news_of_the_partition_comes_from_the_consumer(
    kind: Kind, kafka: str, topic: Callable[..., str]
) -> None:
    """Also a commit's answer: its callback has to run inside the consumer's own methods."""
    name = topic(partitions=1)
    write(kafka, name)
    answers: list[KafkaError | None] = []
    made = Consumer({"bootstrap.servers": kafka, "group.id": name, "on_commit": lambda error, _: answers.append(error)})
    one = kind(made, name, 0)
    one.start_at(0)
    made.commit(offsets=[TopicPartition(name, 0, 1)], asynchronous=True)
    until(lambda: one.read(1, 0) and not list(one.notices()) and answers, "the commit")
    assert answers == [None]
    one.close()
    made.close()
