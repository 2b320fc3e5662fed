"""Proof that a broker is ready: one record through a transaction and a consumer group.

This also creates and loads `__transaction_state` and `__consumer_offsets`, without which the first group of a new
broker waits for seconds and librdkafka's `list_consumer_group_offsets` may crash the process.
"""

from __future__ import annotations

import time
import uuid

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from transports.kafka.producing import backpressured

TOPIC = "_mdp_ready"
QUIET = {"log_level": 0}  # a broker that is still starting refuses connections: not worth a log line


def exercise(bootstrap: str, seconds: float) -> None:
    """Produce one record in a transaction and consume it in a group.

    Raises TimeoutError if this does not succeed within `seconds`.
    """
    deadline = time.monotonic() + seconds
    client: dict[str, str | int | float | bool] = {"bootstrap.servers": bootstrap, **QUIET}
    try:
        _create_topic(AdminClient(client), seconds)
        consumer = Consumer({
            **client,
            "group.id": TOPIC,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": 6000,
        })  # fmt: skip
        try:
            consumer.subscribe([TOPIC])  # joins the group in the background while the transaction runs
            _consume(consumer, _produce(client, seconds), deadline)
        finally:
            consumer.close()
    except KafkaException as error:
        raise TimeoutError(str(error)) from error


def _create_topic(admin: AdminClient, seconds: float) -> None:
    topic = NewTopic(TOPIC, num_partitions=1, replication_factor=1)
    creation = admin.create_topics([topic], request_timeout=seconds)[TOPIC]
    try:
        creation.result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise


def _produce(client: dict[str, str | int | float | bool], seconds: float) -> bytes:
    token = uuid.uuid4().bytes
    producer = Producer({**client, "transactional.id": TOPIC, "linger.ms": 0})
    producer.init_transactions(seconds)
    producer.begin_transaction()
    backpressured(producer)(TOPIC, token)
    producer.commit_transaction(seconds)
    return token


def _consume(consumer: Consumer, token: bytes, deadline: float) -> None:
    while time.monotonic() < deadline:
        message = consumer.poll(0.1)
        if message is not None and message.error() is None and message.value() == token:
            consumer.commit(message=message, asynchronous=False)
            return
    raise TimeoutError("a produced record was not received")
