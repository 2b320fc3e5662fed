from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import closing

from confluent_kafka import Consumer, Producer, TopicPartition

from transports.kafka.config import KafkaConfig
from transports.kafka.group_lag import group_lag


def test_the_lag_of_a_group_is_what_lies_after_its_commits_and_none_for_who_never_committed(
    kafka: str, topic: Callable[..., str]
) -> None:
    name, group, config = topic(2), uuid.uuid4().hex, KafkaConfig(brokers=kafka)
    producer = Producer({"bootstrap.servers": kafka})
    for number in range(30):
        producer.produce(name, b"x", partition=number % 2)
    assert producer.flush(30) == 0
    assert group_lag(config, group, [name]) == 0
    with closing(Consumer({"bootstrap.servers": kafka, "group.id": group})) as consumer:
        consumer.commit(offsets=[TopicPartition(name, 0, 15), TopicPartition(name, 1, 4)], asynchronous=False)
    assert group_lag(config, group, [name]) == 11
