from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from confluent_kafka import Producer

from flows.config_file import load
from mdp.doctor.site import Site
from mdp.ops import topics
from sinks.schema.migrate import migrate
from tests.doctor.doctor_site import KEYS, Send, topics_tree, write


@pytest.fixture
def site(tmp_path: Path, kafka: str, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A deployment with topics, tables and rules of its own, and nothing wrong with it."""
    monkeypatch.setenv("MDP_HOME", str(tmp_path / "home"))
    names = {key: f"{key}-{uuid.uuid4().hex}" for key in KEYS}
    write(tmp_path / "topics.yaml", topics_tree(names.values()))
    write(tmp_path / "rules.yaml", [{"name": "up", "condition": "ret_4s > 0", "signal": 1.0, "score": 0.5}])
    tree = {
        "bus": {"kafka": {"brokers": kafka, **names}},
        "store": {"url": database},
        "features": {"windows": [{"name": "ret_4s", "horizon": "4s"}]},
        "inference": {"adapters": {"rules": {"file": str(tmp_path / "rules.yaml")}}},
        "telemetry": {"metrics_port": 0},
    }
    config = tmp_path / "streaming.yaml"
    write(config, tree)
    made = Site(load(config, []), config, workers=1, sample=1_000)
    topics.apply(made.settings.bus.kafka, topics.load(tmp_path / "topics.yaml"))
    migrate(database, made.settings.features.names)
    yield made
    made.close()


@pytest.fixture
def send(site: Site) -> Send:
    """Puts values into partitions of the events topic."""

    def produce(records: Sequence[tuple[int, bytes]]) -> None:
        producer = Producer({"bootstrap.servers": site.settings.bus.kafka.brokers})
        for partition, value in records:
            producer.produce(site.settings.bus.kafka.topic, value, partition=partition)
        assert producer.flush(30) == 0

    return produce
