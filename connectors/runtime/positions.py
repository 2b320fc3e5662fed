"""How far a connector has taken in each series: a compacted topic tells it after a restart what it has missed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from connectors.runtime.control import ControlSender
from connectors.runtime.gaps import Mark, Series
from connectors.runtime.sink import Delivery
from contracts.ids import joined_text
from contracts.payloads.connector_position import ConnectorPosition
from contracts.registry import open_envelope
from contracts.timestamps import format_timestamp, parse_timestamp
from transports.kafka.config import KafkaConfig
from transports.kafka.topic_admin import TopicAdmin, TopicPlan
from transports.kafka.topic_reader import TopicReader

EVERY_SECONDS: Final = 1.0
_COMPACTED: Final = TopicPlan(1, -1, {"cleanup.policy": "compact"})

Positions = Mapping[Series, Mark]


def read_positions(kafka: KafkaConfig, topic: str, connector: str, source_id: str) -> dict[Series, Mark]:
    """The last positions of a connector and a source; creates the topic if there is none.

    Raises:
        SourceError, TopicsError: it cannot be read, or created.
    """
    admin = TopicAdmin(kafka)
    admin.create({topic: _COMPACTED})
    admin.await_listed([topic])
    found: dict[Series, Mark] = {}
    with TopicReader(kafka, topic) as reader:
        for partition, (low, end) in reader.settled_bounds().items():
            for messages in reader.span(partition, low, end):
                for message in messages:
                    _fold(found, message.value(), connector, source_id)
    return found


def _fold(found: dict[Series, Mark], value: bytes | None, connector: str, source_id: str) -> None:
    try:
        envelope, position = open_envelope(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return  # of somebody else: it cannot be a position of this connector
    if isinstance(position, ConnectorPosition) and (position.connector, envelope.source_id) == (connector, source_id):
        mark = Mark(parse_timestamp(position.last_time), position.last_id, position.last_sequence)
        found[Series(position.stream, position.symbol)] = mark


class _Pending(NamedTuple):
    """Positions that hold once some deliveries, and all before them, are done."""

    deliveries: deque[Delivery]
    positions: Positions

    @property
    def is_done(self) -> bool:
        while self.deliveries and self.deliveries[0].is_done:
            self.deliveries.popleft()
        return not self.deliveries


class PositionWriter:
    """Writes positions, none before all that it covers is in Kafka.

    Args:
        connector: its id.
        positions: the present ones, of what has been handed over.
        sender: of messages of their type.
    """

    def __init__(self, connector: str, positions: Callable[[], Positions], sender: ControlSender) -> None:
        self._connector, self._positions, self._sender = connector, positions, sender
        self._deliveries: deque[Delivery] = deque()
        self._pending: deque[_Pending] = deque()
        self._written: dict[Series, Mark] = {}

    def note(self, delivery: Delivery) -> None:
        """Notes that something was handed over."""
        self._deliveries.append(delivery)

    async def write(self) -> list[Delivery]:
        """Writes what has become certain since, and notes how far what has been handed over reaches.

        Raises:
            MdpError: Kafka takes nothing any more.
        """
        if self._deliveries:
            self._pending.append(_Pending(deque(self._deliveries), dict(self._positions())))
            self._deliveries.clear()
        certain = None if self._pending else self._positions()  # a hole that was closed moves them, too
        while self._pending and self._pending[0].is_done:
            certain = self._pending.popleft().positions
        moved = {series: mark for series, mark in (certain or {}).items() if self._written.get(series) != mark}
        return [await self._send(series, mark) for series, mark in moved.items()]

    async def _send(self, series: Series, mark: Mark) -> Delivery:
        fields = {
            "connector": self._connector,
            "stream": series.stream,
            "symbol": series.symbol,
            "last_time": format_timestamp(mark.time_ns),
            "last_id": mark.event_id,
            **({} if mark.sequence is None else {"last_sequence": mark.sequence}),
        }
        key = joined_text(self._connector, self._sender.source_id, series.stream, series.symbol)
        delivery = await self._sender.send(fields, mark.time_ns, time.time_ns(), key)
        self._written[series] = mark
        return delivery
