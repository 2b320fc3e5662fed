"""Checks before a flow consumes anything, with one-line errors."""

from __future__ import annotations

from collections.abc import Callable

from bytewax.dataflow import Dataflow

from flows.config_file import ConfigError
from flows.endpoints import create_tables
from flows.settings import Settings
from flows.spec import FlowSpec
from inference.engine import build
from sinks.connection import StoreUnavailable
from sinks.queries.flow_topics import is_the_same
from telemetry.outage import wait_out
from transports.kafka.topics import BrokerUnavailable, partitions_of, topic_id


def check(settings: Settings, flow: FlowSpec, dataflow: Callable[[Settings], Dataflow], *, wait: bool) -> None:
    """Connects to everything that the flow needs, and migrates the schema.

    Args:
        settings: of the run.
        flow: the flow to run.
        dataflow: builds it.
        wait: wait for a broker or database that does not answer, as it has answered an earlier run; else raise.

    Raises:
        MdpError: a topic is missing or too narrow, or something cannot be reached or loaded.
    """
    build(settings.inference, settings.features.names, settings.span_ns)
    dataflow(settings)
    if wait:
        read = wait_out(lambda: _check_topics(settings, flow), BrokerUnavailable, "Kafka")
        wait_out(lambda: _check_database(settings, flow, read, wait=True), StoreUnavailable, "the database")
    else:
        _check_database(settings, flow, _check_topics(settings, flow), wait=False)


def _check_database(settings: Settings, flow: FlowSpec, read: str, *, wait: bool) -> None:
    """The live tables, which hold what every run has to know; `read` is the id of the topic that the flow reads."""
    flow_id, topic, run = flow.id(settings), flow.topic(settings), settings.run
    try:
        create_tables(settings.of_live_tables)
        is_known = run.is_apart or is_the_same(settings.store.url.get_secret_value(), flow_id, topic, read)
    except StoreUnavailable as error:
        if wait and not error.is_refusal:
            raise
        raise ConfigError(f"the database cannot be reached: {error}; {error.remedy}") from None
    if not is_known:
        raise ConfigError(
            f"topic {topic} was deleted and recreated since {flow_id} read it, and the outputs are of the former one: "
            f"read the new one under another --name"
        )


def _check_topics(settings: Settings, flow: FlowSpec) -> str:
    """Checks the topics; returns the id of the topic that the flow reads."""
    kafka = settings.bus.kafka
    needed = len(partitions_of(kafka, kafka.topic))
    for topic in (kafka.signals_topic, kafka.bars_topic, kafka.dlq_topic, kafka.late_topic):
        found = len(partitions_of(kafka, topic))
        if found < needed:
            raise ConfigError(
                f"topic {topic} has {found} partitions and {kafka.topic} has {needed}: give it the same number, "
                f"as partition i of the events is written to partition i of every output topic"
            )
    return topic_id(kafka, flow.topic(settings))
