"""Heartbeats: records that advance the event time of a provider without new events."""

from __future__ import annotations

import msgspec
from confluent_kafka import Producer

from contracts.timestamps import format_timestamp
from transports.kafka.config import KafkaConfig
from transports.kafka.producing import backpressured


class HeartbeatWriter:
    """Appends heartbeats to the partition that they concern; does not wait for their acknowledgement.

    A lost heartbeat is due again.
    """

    def __init__(self, config: KafkaConfig) -> None:
        self._producer = Producer(config.client(linger_ms=0))
        self._produce = backpressured(self._producer)

    def append(self, topic: str, partition: int, provider: str, src_ts: int) -> None:
        self._produce(topic, heartbeat_record(provider, src_ts), None, partition)

    def poll(self) -> None:
        """Serves delivery reports of earlier heartbeats."""
        self._producer.poll(0)


def heartbeat_record(provider: str, src_ts: int) -> bytes:
    """The JSON of a heartbeat: the event time of `provider` has reached `src_ts`, in nanoseconds."""
    return msgspec.json.encode(
        {"ver": 1, "kind": "heartbeat", "provider": provider, "src_ts": format_timestamp(src_ts)}
    )
