"""An output topic that has lost its end is noticed: before a flush is committed, and by whoever goes on after it."""

from __future__ import annotations

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from contracts.progress import Loss, SetBack
from tests.harness import recreate_topic
from tests.transports.kafka_outputs import PARTITIONS, KafkaOutputs
from transports.kafka.lost_ends import Written
from transports.kafka.read_back import Place


def test_by_where_its_records_come_to_lie(kafka_outputs: KafkaOutputs) -> None:
    marks: list[object] = []
    writer = kafka_outputs.writer(mark=marks.append)
    for offset in range(3):
        writer.write(kafka_outputs.rejects(offset))
    recreate_topic(kafka_outputs.config.brokers, kafka_outputs.config.dlq_topic, PARTITIONS)
    with pytest.raises(SetBack, match="has lost acknowledged results"):
        writer.write(kafka_outputs.rejects(3))
    assert marks == [{(kafka_outputs.config.topic, partition): Loss(0, 0, 3) for partition in range(PARTITIONS)}]
    assert kafka_outputs.rejected() == []
    after = kafka_outputs.writer()
    for offset in range(4):
        after.write(kafka_outputs.rejects(offset))
    assert kafka_outputs.rejected() == [(p, b"%d" % offset) for p in range(PARTITIONS) for offset in range(4)]


def test_by_a_writer_that_goes_on(kafka_outputs: KafkaOutputs) -> None:
    marks: list[object] = []
    writer = kafka_outputs.writer()
    for offset in range(2):
        writer.write(kafka_outputs.rejects(offset))
    known = {place: last for partition in range(PARTITIONS) for place, last in writer.acknowledged(partition).items()}
    dlq = kafka_outputs.config.dlq_topic
    assert {place: last.cause for place, last in known.items()} == {Place(dlq, p): (1, 0) for p in range(PARTITIONS)}
    kafka_outputs.writer(mark=marks.append, acknowledged=known)
    further = {place: Written(last.offset + 10, (4, 0)) for place, last in known.items()}
    with pytest.raises(SetBack, match=r"\[0\] from record 1 to 4"):
        kafka_outputs.writer(mark=marks.append, acknowledged=further)
    assert marks == [{(kafka_outputs.config.topic, 0): Loss(0, 1, 5)}]


def test_records_that_retention_has_deleted_are_not_lost(kafka_outputs: KafkaOutputs) -> None:
    writer = kafka_outputs.writer()
    writer.write(kafka_outputs.rejects(0))
    admin = AdminClient(kafka_outputs.config.client())  # which its futures do not keep alive
    ends = [TopicPartition(kafka_outputs.config.dlq_topic, partition, -1) for partition in range(PARTITIONS)]
    for deleted in admin.delete_records(ends).values():
        deleted.result(30)
    later = kafka_outputs.writer(acknowledged=writer.acknowledged(0))
    later.write(kafka_outputs.rejects(1))
    assert {last.cause for last in later.acknowledged(0).values()} == {(1, 0)}
