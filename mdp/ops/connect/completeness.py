"""What sees to it that nothing of a source is missing in silence: gaps and positions of a connector."""

from __future__ import annotations

from connectors.runtime.control import ControlSender
from connectors.runtime.filling import GapFiller
from connectors.runtime.gaps import Tracker
from connectors.runtime.positions import PositionWriter, read_positions
from connectors.runtime.publishing import Targets
from connectors.runtime.sink import Sink
from contracts.payloads.connector_position import CONNECTOR_POSITION_V1
from contracts.payloads.gap import GAP_V1
from flows.settings import Settings
from mdp.ops.connect.preparing import Prepared
from transports.kafka.config import KafkaConfig
from transports.kafka.topic_admin import TopicAdmin, TopicPlan

_DEFAULTS = TopicPlan(-1, -1, {})  # of the broker


def gap_filler(settings: Settings, ready: Prepared, sink: Sink, targets: Targets) -> GapFiller:
    """Knows from its positions where the connector was when it ended last.

    Raises:
        MdpError: Kafka does not answer, or does not create the topics.
    """
    connector, feed = ready.connector, ready.normalizer.feed
    name = connector.request.manifest.connector_id
    kafka, topic_of = settings.bus.kafka, settings.messages.topic_of
    _create(kafka, topic_of(GAP_V1))
    marks = read_positions(kafka, topic_of(CONNECTOR_POSITION_V1), name, connector.source_id)
    tracker = Tracker(connector.is_contiguous, marks)
    positions = ControlSender(CONNECTOR_POSITION_V1, feed, sink, targets)
    writer = PositionWriter(name, tracker.positions, positions)
    return GapFiller(connector, tracker, ControlSender(GAP_V1, feed, sink, targets), writer)


def _create(kafka: KafkaConfig, topic: str) -> None:
    admin = TopicAdmin(kafka)
    admin.create({topic: _DEFAULTS})
    admin.await_listed([topic])
