"""Markets for the page: three minutes that are over, with ticks that a test sends on top of them; and a live one."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from confluent_kafka import Producer

from connectors import pacing
from connectors.synthetic.market import SyntheticConfig, SyntheticMarket
from tests.harness import PROJECT, Deployment, Deployments, create_topic, produce_on_time
from transports.kafka.producer import produce

START = datetime(2025, 10, 24, 14, tzinfo=UTC)
SECONDS = 180
RATE = 240.0
PARTITIONS = 2
HOSTILE = "<img src=x onerror=alert(1)>"
DEMO = yaml.safe_load((PROJECT / "configs" / "demo.yaml").read_text())
RULES = yaml.safe_load((PROJECT / "configs" / "demo_rules.yaml").read_text())
WINDOWS = {"window_ms": 1000, "allow_late_ms": 500, "amend_ms": 120_000, "flush_timeout_ms": 86_400_000}


SYNTHETIC = SyntheticConfig(
    symbols=12, price_volatility=0.4, duplicates=0.01, out_of_order=0.06, max_delay_ms=3_000, malformed=0.002
)
TOO_LATE = 3


def market(deploy: Deployments, metrics_port: int) -> Deployment:
    """A deployment whose topic holds the three minutes, and a few events that come too late."""
    deployment = _deployment(deploy, "page", metrics_port)
    chunks = SyntheticMarket(SYNTHETIC, int(START.timestamp()) * 1_000_000_000, RATE).chunks()
    whole = next(chunks).head(int(SECONDS * RATE))
    produce_on_time(deployment.kafka, deployment.events, [whole], PARTITIONS)
    for number in range(TOO_LATE):
        Ticks(deployment).send("AAPL", -300 - number, 100.0)
    return deployment


@contextmanager
def live_market(deploy: Deployments, metrics_port: int) -> Iterator[Deployment]:
    """A deployment whose topic holds the last three minutes, and that goes on in real time."""
    deployment = _deployment(deploy, "live", metrics_port, amend_ms=1_500)
    stop = threading.Event()
    chunks = SyntheticMarket(SYNTHETIC, time.time_ns() - SECONDS * 1_000_000_000, RATE).chunks()
    paced = pacing.at_arrival(chunks, pacing.WallClock(stop))
    settings = {"bootstrap.servers": deployment.kafka}
    feed = threading.Thread(target=produce, args=(paced, settings, deployment.events))
    feed.start()
    try:
        yield deployment
    finally:
        stop.set()
        feed.join()


def _deployment(deploy: Deployments, name: str, metrics_port: int, **windows: int) -> Deployment:
    sections: dict[str, Any] = {
        "micro_batch": {**WINDOWS, **windows},
        "features": DEMO["features"],
        "telemetry": {"metrics_port": metrics_port},
    }
    # The three minutes are of long ago: Kafka would delete them when it comes to look.
    events = create_topic(deploy.stack.kafka.bootstrap, "events", PARTITIONS, retention_ms="-1")
    return deploy(events, partitions=PARTITIONS, rules=RULES, name=name, **sections)


class Ticks:
    """Sends ticks; times are in seconds since START."""

    def __init__(self, deployment: Deployment) -> None:
        self._topic = deployment.events
        self._producer = Producer({"bootstrap.servers": deployment.kafka, "linger.ms": 0})
        self._seq = 10_000_000
        self._second = SECONDS

    def later(self) -> int:
        """A second that is later than whatever has been sent, and that leaves room for some windows."""
        self._second += 20
        return self._second

    def send(self, symbol: str, seconds: float, price: float, provider: str = "synthetic") -> None:
        """One tick, which Kafka has when this returns."""
        self._seq += 1
        event = {
            "ver": 1,
            "provider": provider,
            "symbol": symbol,
            "kind": "tick",
            "src_ts": (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "c": price,
            "v": 1.0,
            "seq": self._seq,
        }
        key = symbol.encode()
        self._producer.produce(self._topic, json.dumps(event), key, sum(key) % PARTITIONS)
        assert self._producer.flush(30) == 0

    def close_window(self, symbol: str, seconds: float, price: float) -> None:
        """A tick, and the one that closes its window."""
        self.send(symbol, seconds, price)
        self.send(symbol, seconds + 1.6, price)


def milliseconds(seconds: float) -> int:
    """Unix milliseconds of a time in seconds since START."""
    return int((START.timestamp() + seconds) * 1000)
