"""Heartbeats: records that advance the event time of a provider without new events."""

from __future__ import annotations

from confluent_kafka import Producer

from codec.heartbeats import EncodeHeartbeat
from transports.kafka.config import KafkaConfig
from transports.kafka.producing import backpressured


class HeartbeatWriter:
    """Appends heartbeats to the partition that they concern; does not wait for their acknowledgement.

    A lost heartbeat is due again.
    """

    def __init__(self, config: KafkaConfig, encode: EncodeHeartbeat) -> None:
        self._encode = encode
        self._producer = Producer(config.client(linger_ms=0))
        self._produce = backpressured(self._producer)

    def append(self, topic: str, partition: int, provider: str, src_ts: int) -> None:
        self._produce(topic, self._encode(provider, src_ts), None, partition)

    def poll(self) -> None:
        """Serves delivery reports of earlier heartbeats."""
        self._producer.poll(0)
