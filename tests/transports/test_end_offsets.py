"""Where a partition ends, while the broker does not answer."""

from __future__ import annotations

import gc
import os
import signal
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import IsolationLevel
from confluent_kafka.admin import AdminClient

from mdp.local import LocalStack, ports
from telemetry.outage import Outage, waiting
from tests.harness import until
from tests.market import market_topic
from transports.kafka.config import KafkaConfig
from transports.kafka.end_offsets import EndOffsets

EVENTS = 100
TIMEOUT_NS = 400_000_000


@pytest.fixture
def ends(stack: LocalStack) -> Iterator[EndOffsets]:
    """Of a partition with records."""
    topic = market_topic(stack.kafka.bootstrap, EVENTS)
    made = EndOffsets(KafkaConfig(brokers=stack.kafka.bootstrap), topic, TIMEOUT_NS, Outage("Kafka"))
    made.watch(0, lambda: 0)
    until(lambda: made.latest(0) is not None, "an answer")
    yield made
    made.leave(0)


@contextmanager
def hanging(stack: LocalStack) -> Iterator[None]:
    """Connections stay, and nobody answers on them."""
    pid = stack.kafka.process.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_broker_that_hangs_confirms_nothing_and_is_an_outage(stack: LocalStack, ends: EndOffsets) -> None:
    before = ends.latest(0)
    assert before is not None
    with hanging(stack):
        until(lambda: waiting() == ["Kafka"], "an outage")
        during = ends.latest(0)
    assert during is not None
    assert during.end == before.end > 0
    until(lambda: waiting() == [], "the broker's return")
    until(lambda: (latest := ends.latest(0)) is not None and latest.asked_at > during.asked_at, "an answer")
    after = ends.latest(0)
    assert after is not None
    assert after.end == before.end
    assert after.unbroken_since > before.asked_at


def test_a_client_that_got_no_answer_is_let_go() -> None:
    """A worker looks for cycles so rarely that threads and connections would pile up in an outage."""
    config, outage = KafkaConfig(brokers=f"{ports.HOST}:{ports.choose(range(20_000, 21_000), 1)[0]}"), Outage("Kafka")
    admin = AdminClient({**config.client(), "log_level": 0})
    client = weakref.ref(admin)
    gc.disable()
    try:
        ends = EndOffsets(config, "events", TIMEOUT_NS, outage)
        assert ends._ask(admin, [0], IsolationLevel.READ_UNCOMMITTED) is None
        del admin
        assert client() is None
    finally:
        gc.enable()
        outage.end()
