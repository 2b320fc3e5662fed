"""What has to be right before a flow consumes anything: found at once, and told in one line."""

from __future__ import annotations

from collections.abc import Callable

from bytewax.dataflow import Dataflow

from flows.config_file import ConfigError
from flows.settings import Settings
from inference.engine import build
from sinks.connection import StoreUnavailable
from sinks.flow_topics import is_the_same
from sinks.migrate import migrate
from sources.kafka import BrokerUnavailable, partitions_of, topic_id
from telemetry.outage import wait_out


def check(settings: Settings, name: str, flow: Callable[[Settings], Dataflow], *, wait: bool) -> None:
    """Reaches for everything that the flow needs, and brings the schema up to date.

    Args:
        settings: of the run.
        name: of the flow.
        flow: builds its dataflow.
        wait: for a broker or a database that does not answer, as it has answered an earlier run; else that is an error.

    Raises:
        ValueError: a topic is missing or too narrow, or something cannot be reached or loaded.
    """
    build(settings.inference, settings.features.names, settings.span_ns)
    flow(settings)
    if wait:
        wait_out(lambda: _check_topics(settings), BrokerUnavailable, "Kafka")
        wait_out(lambda: _check_database(settings, name), StoreUnavailable, "the database")
        return
    _check_topics(settings)
    try:
        _check_database(settings, name)
    except StoreUnavailable as error:
        raise ConfigError(f"the database cannot be reached: {error}; {error.remedy}") from None


def _check_database(settings: Settings, flow: str) -> None:
    _migrate(settings)
    topic, url = settings.source_topic(flow), settings.store.url.get_secret_value()
    if not is_the_same(url, settings.flow_id(flow), topic, topic_id(settings.bus.kafka, topic)):
        raise ConfigError(
            f"topic {topic} was deleted and made anew since {settings.flow_id(flow)} read it, and the outputs are of "
            f"the former one: read the new one under another --name"
        )


def _migrate(settings: Settings) -> None:
    store = settings.store
    try:
        migrate(
            store.url.get_secret_value(),
            settings.features.names,
            retention=store.retention,
            compress_after=store.compress_after,
        )
    except StoreUnavailable as error:
        if error.is_refusal:
            raise ConfigError(f"the database cannot be reached: {error}; {error.remedy}") from None
        raise


def _check_topics(settings: Settings) -> None:
    kafka = settings.bus.kafka
    needed = len(partitions_of(kafka, kafka.topic))
    for topic in (kafka.signals_topic, kafka.bars_topic, kafka.dlq_topic, kafka.late_topic):
        found = len(partitions_of(kafka, topic))
        if found < needed:
            raise ConfigError(
                f"topic {topic} has {found} partitions and {kafka.topic} has {needed}: give it as many, "
                f"as partition i of the events leads to partition i of every output topic"
            )
