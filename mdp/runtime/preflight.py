"""Checks before a flow consumes anything, with one-line errors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from operator import itemgetter

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
    if flow.has_windows:
        build(settings.inference, settings.features.names, settings.span_ns)
    elif settings.run.is_span:
        raise ConfigError(f"{flow.name} reads no range of the log: bus.kafka.start says where it begins")
    dataflow(settings)
    if wait:
        read = wait_out(lambda: _check_topics(settings, flow), BrokerUnavailable, "Kafka")
        wait_out(lambda: _check_database(settings, flow, read, wait=True), StoreUnavailable, "the database")
    else:
        _check_database(settings, flow, _check_topics(settings, flow), wait=False)


def _check_database(settings: Settings, flow: FlowSpec, read: Mapping[str, str], *, wait: bool) -> None:
    """The live tables, which hold what every run has to know; `read` are the ids of the topics that the flow reads."""
    flow_id, url, run = flow.id(settings), settings.store.url.get_secret_value(), settings.run
    try:
        create_tables(settings.of_live_tables, flow)
        replaced = [name for name, one in read.items() if not (run.is_apart or is_the_same(url, flow_id, name, one))]
    except StoreUnavailable as error:
        if wait and not error.is_refusal:
            raise
        raise ConfigError(f"the database cannot be reached: {error}; {error.remedy}") from None
    if replaced:
        raise ConfigError(
            f"topic {replaced[0]} was deleted and recreated since {flow_id} read it, and the outputs are of the "
            f"former one: read the new one under another --name"
        )


def _check_topics(settings: Settings, flow: FlowSpec) -> dict[str, str]:
    """Checks the topics; returns the ids of those that the flow reads."""
    kafka, read = settings.bus.kafka, [branch.topic(settings) for branch in flow.branches(settings)]
    partitions = {name: len(partitions_of(kafka, name)) for name in ([kafka.topic] if flow.has_windows else read)}
    widest, needed = max(partitions.items(), key=itemgetter(1))
    results = (kafka.signals_topic, kafka.bars_topic) if flow.has_windows else ()
    _check_envelope_topics(settings, flow, read)
    for topic in (*results, kafka.dlq_topic, kafka.late_topic):
        found = len(partitions_of(kafka, topic))
        if found < needed:
            raise ConfigError(
                f"topic {topic} has {found} partitions and {widest} has {needed}: give it the same number, "
                f"as partition i of the events is written to partition i of every output topic"
            )
    return {topic: topic_id(kafka, topic) for topic in read}


def _check_envelope_topics(settings: Settings, flow: FlowSpec, read: Collection[str]) -> None:
    """Those of a flow over raw topics, which may have any number of partitions."""
    if flow.reads != "raw":
        return
    from flows.raw_messages import all_envelope_topics  # noqa: PLC0415 - other flows start sooner without it

    for topic in all_envelope_topics(settings):
        if topic in read:
            raise ConfigError(f"topic {topic} would be read and written: name another in normalize.sources")
        partitions_of(settings.bus.kafka, topic)
