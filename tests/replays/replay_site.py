"""Topics of a replay, and a service that serves them in this process."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Producer

from contracts.payloads.replay_request import REPLAY_REQUEST_V1
from contracts.record import Headers
from flows.settings import Settings
from mdp.ops.replays.control import post
from mdp.ops.replays.desk import Desk
from tests.harness import Record, records

MINUTE = 60_000_000_000
T0 = 1_761_314_520_000_000_000  # 2025-10-24T14:02:00Z
STATUS = ("schema_fqdn", b"utp.control.replay_status.v1")
WINDOW = {"start": "2025-10-24T14:03:00Z", "end": "2025-10-24T14:05:00Z"}


def tick(minute: int, symbol: str = "SPY", **more: object) -> bytes:
    at = f"2025-10-24T14:{2 + minute:02}:00Z"
    event = {"ver": 1, "provider": "p", "symbol": symbol, "kind": "tick", "src_ts": at, "c": 1.5, "v": 2, **more}
    return json.dumps(event).encode()


@dataclass
class ReplaySite:
    """Two partitions of events, and where they go."""

    settings: Settings

    @classmethod
    def create(cls, brokers: str, topic: Callable[..., str], **replay: Any) -> ReplaySite:
        names = ("topic", "replay_topic", "bars_topic", "signals_topic", "dlq_topic", "late_topic")
        bus = {name: topic(2) for name in names} | {"control_topic": topic(1), "brokers": brokers}
        section = {"records_per_s": 1e9, **replay}
        return cls(Settings.model_validate({"bus": {"kafka": bus}, "replay": section}))

    @property
    def source(self) -> str:
        return self.settings.bus.kafka.topic

    @property
    def target(self) -> str:
        return self.settings.bus.kafka.replay_topic

    def send(self, topic: str, *sent: tuple[int, bytes | None, Headers | None]) -> None:
        """Records of a partition, a value and headers; the key tells their place among them."""
        producer = Producer({"bootstrap.servers": self.settings.bus.kafka.brokers, "message.max.bytes": 4_000_000})
        for number, (partition, value, headers) in enumerate(sent):
            producer.produce(topic, value, b"k%d" % number, partition, headers=headers)
        assert producer.flush(30) == 0

    def ask(self, **request: Any) -> str:
        """Post a request about events in WINDOW, unless it says otherwise; return its id."""
        content = {"domain": "events", "reason": "test", **WINDOW, **request}
        given = {name: value for name, value in content.items() if value is not None}
        message = REPLAY_REQUEST_V1.decode(json.dumps(given).encode())
        return post(self.settings.bus.kafka, message, time.time_ns()).id

    def serve(self) -> None:
        """Serve until all is answered."""
        with Desk(self.settings) as desk:
            while desk.work() is not None:
                pass

    def statuses(self) -> list[dict[str, Any]]:
        """All statuses, in their order."""
        found = records(self.settings.bus.kafka.brokers, self.settings.bus.kafka.control_topic)
        ours = [one for one in found if STATUS in one.headers]
        return [one.json["payload"] for one in ours]

    def last(self, request_id: str) -> dict[str, Any]:
        """The last status of a request."""
        return [status for status in self.statuses() if status["request_id"] == request_id][-1]

    def sent(self, topic: str | None = None) -> Sequence[Record]:
        return records(self.settings.bus.kafka.brokers, topic or self.target)
