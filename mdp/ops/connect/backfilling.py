"""Takes in what a source sent in a span of the past."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.connector import ConnectorError, Span
from connectors.runtime.backfill import Backfill, BackfillPositions, Progress, job_name
from connectors.runtime.control import ControlSender
from connectors.runtime.gaps import Mark, Series, Tracker
from connectors.runtime.positions import PositionWriter, read_positions
from connectors.runtime.publishing import Publisher
from contracts.payloads.connector_position import CONNECTOR_POSITION_V1
from flows.message_input import payload_codec
from flows.settings import Settings
from mdp.ops.connect.preparing import Prepared
from mdp.ops.connect.running import output_topics, targets_of
from transports.kafka.live_producer import LiveProducer
from transports.kafka.topics import partitions_of


@dataclass(frozen=True, slots=True)
class Job:
    """A backfill that has not begun.

    Attributes:
        marks: where an earlier one of the same span was interrupted, or has ended.
    """

    settings: Settings
    ready: Prepared
    span: Span
    marks: Mapping[Series, Mark]

    @property
    def resumes_ns(self) -> int | None:
        """The event time at which it goes on; None if it begins."""
        return min((mark.time_ns for mark in self.marks.values()), default=None)


def job(settings: Settings, ready: Prepared, span: Span) -> Job:
    """Prepares a backfill.

    Raises:
        MdpError: the connector has no past, or a topic does not exist.
    """
    manifest = ready.connector.request.manifest
    if not manifest.capabilities.backfill:
        raise ConnectorError(f"connector {manifest.connector_id} cannot get what was sent before")
    for topic in (*output_topics(settings, ready), settings.bus.kafka.dlq_topic):
        partitions_of(settings.bus.kafka, topic)
    topic, source_id = settings.messages.topic_of(CONNECTOR_POSITION_V1), ready.connector.source_id
    marks = read_positions(settings.bus.kafka, topic, job_name(manifest.connector_id, span), source_id)
    return Job(settings, ready, span, marks)


def run(one: Job, note: Callable[[Progress], Any]) -> Progress:
    """Does it, and returns how much there was.

    Raises:
        MdpError, Disconnected, OSError: it is interrupted; asked for again, it goes on.
    """
    return asyncio.run(_run(one, note))


async def _run(one: Job, note: Callable[[Progress], Any]) -> Progress:
    ready, settings = one.ready, one.settings
    name, sink = ready.connector.request.manifest.connector_id, LiveProducer(settings.bus.kafka)
    targets = targets_of(settings, ready, payload_codec(settings))
    tracker = Tracker(lambda _: False, {})
    sender = ControlSender(CONNECTOR_POSITION_V1, ready.normalizer.feed, sink, targets)
    positions = BackfillPositions(tracker, PositionWriter(job_name(name, one.span), tracker.positions, sender))
    publisher = Publisher(name, ready.normalizer, sink, targets, health=ready.health, observers=[positions])
    return await Backfill(ready.connector, ready.normalizer, publisher, positions, one.marks).run(one.span, note)
