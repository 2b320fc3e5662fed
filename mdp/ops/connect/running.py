"""Runs a connector until its source ends, its time is over, or a signal comes."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final

from codec.encoding import PayloadCodec
from connectors.runtime.brake import Brake
from connectors.runtime.health import Health
from connectors.runtime.publishing import Observer, Publisher, Targets
from connectors.runtime.sink import Sink
from connectors.runtime.supervisor import Companion, Supervisor
from flows import secrets
from flows.message_input import payload_codec
from flows.sender import sender
from flows.settings import Settings
from mdp.ops.connect.completeness import gap_filler
from mdp.ops.connect.dry_run import DryRun, Shown
from mdp.ops.connect.preparing import Prepared
from telemetry.server import Answer, serve_answers
from transports.kafka.config import KafkaConfig
from transports.kafka.group_lag import group_lag
from transports.kafka.live_producer import LiveProducer
from transports.kafka.topics import SourceError, partitions_of

_STATUS_SECONDS: Final = 5.0
_JSON: Final = "application/json"

log = logging.getLogger("mdp.connect")


def run(settings: Settings, ready: Prepared, *, seconds: float | None = None) -> Health:
    """Run it, and return how it was at the end. A second signal ends it at once.

    Raises:
        MdpError: another attempt would not help, or a topic does not exist.
    """
    topics = output_topics(settings, ready)
    _check_topics(settings.bus.kafka, (*topics, settings.bus.kafka.dlq_topic))
    _serve(settings, ready)
    sink, targets = LiveProducer(settings.bus.kafka), targets_of(settings, ready, payload_codec(settings))
    companions: list[Companion] = [_StatusLine(ready.health)] if sys.stderr.isatty() else []
    if ready.connector.may_miss:
        filler = gap_filler(settings, ready, sink, targets)
        publisher = _publisher(ready, sink, targets, filler)
        filler.publish_by(publisher.publish)
        companions.append(filler)
    else:
        publisher = _publisher(ready, sink, targets)
    pressure = settings.connect.back_pressure
    if pressure.group is not None:
        group = pressure.group
        companions.append(Brake(publisher, lambda: group_lag(settings.bus.kafka, group, topics), pressure.most_records))
    asyncio.run(_until_stopped(settings, ready, publisher, companions, seconds))
    return ready.health


def dry_run(settings: Settings, ready: Prepared, show: Callable[[Shown], None], *, seconds: float | None) -> Health:
    """The same, but show what would be sent, and send nothing.

    Raises:
        MdpError: another attempt would not help.
    """
    publisher = _publisher(ready, DryRun(show), targets_of(settings, ready, PayloadCodec()))
    asyncio.run(_until_stopped(settings, ready, publisher, [], seconds))
    return ready.health


def output_topics(settings: Settings, ready: Prepared) -> list[str]:
    """The topics that a connector's messages go to."""
    return list(dict.fromkeys(settings.messages.topic_of(kind) for kind in ready.normalizer.kinds))


def _check_topics(kafka: KafkaConfig, topics: Sequence[str]) -> None:
    """Raises SourceError: a topic is missing, or no broker answers."""
    for topic in topics:
        try:
            partitions_of(kafka, topic)
        except SourceError as error:
            if error.passes:
                raise
            raise SourceError(str(error).partition(";")[0], "run `mdp topics apply --connector …` for it") from None


def targets_of(settings: Settings, ready: Prepared, payloads: PayloadCodec) -> Targets:
    """Where its messages go, and as whose."""
    manifest = ready.connector.request.manifest
    return Targets(
        topic_of=settings.messages.topic_of,
        dlq_topic=settings.bus.kafka.dlq_topic,
        sender=sender(f"connect-{manifest.connector_id}"),
        payloads=payloads,
        drop=manifest.drop,
    )


def _publisher(ready: Prepared, sink: Sink, targets: Targets, *observers: Observer) -> Publisher:
    name = ready.connector.request.manifest.connector_id
    return Publisher(name, ready.normalizer, sink, targets, health=ready.health, observers=observers)


async def _until_stopped(
    settings: Settings, ready: Prepared, publisher: Publisher, companions: list[Companion], seconds: float | None
) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop, stop, loop)
    if seconds is not None:
        loop.call_later(seconds, stop.set)
    supervisor = Supervisor(
        ready.connector, publisher, ready.health, companions=companions, stop_s=settings.connect.stop_s
    )
    await supervisor.run(stop)


def _stop(stop: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
    stop.set()
    for number in (signal.SIGINT, signal.SIGTERM):  # a second one has its former effect
        loop.remove_signal_handler(number)


def _serve(settings: Settings, ready: Prepared) -> None:
    """Serves /metrics, and the health of the connector at the place that its manifest names."""

    def answer() -> Answer:
        report = secrets.masked_tree(ready.health.report(time.time_ns()))
        status = HTTPStatus.OK if report["ok"] else HTTPStatus.SERVICE_UNAVAILABLE
        return status, _JSON, json.dumps(report).encode()

    serve_answers(settings.telemetry, {ready.connector.request.manifest.health.endpoint: answer})


class _StatusLine:
    """A line for the terminal every few seconds."""

    def __init__(self, health: Health) -> None:
        self._health = health

    async def run(self) -> None:
        """Says how it is, again and again."""
        before = self._health.taken
        while True:
            await asyncio.sleep(_STATUS_SECONDS)
            log.info("%s", status_line(self._health, (self._health.taken - before) / _STATUS_SECONDS))
            before = self._health.taken

    def connected(self) -> None:
        """The state says it."""

    async def end(self) -> None:
        """There is nothing to end."""


def status_line(health: Health, rate: float) -> str:
    """How a connector is; `rate` in messages per second."""
    state = "held back" if health.is_paused else health.state
    text = f"{state}: {rate:,.0f} messages/s, {health.taken:,} taken in, {health.waiting:,} not yet in Kafka"
    counts = {"refused": health.refused, "dropped": health.dropped, "disconnects": health.disconnects}
    return text + "".join(f", {count:,} {name}" for name, count in counts.items() if count)
