"""Connectors that run in this process or in one of their own, and what they have put into Kafka."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from contracts.registry import message_type
from tests.harness import records, until

PARTITIONS = 2


@dataclass
class Site:
    """A config with topics of its own, on which connectors can be started."""

    kafka: str
    folder: Path
    kinds: Sequence[str] = ("trades/v2",)
    sections: Mapping[str, Any] = field(default_factory=dict)
    realm: str = field(default_factory=lambda: uuid.uuid4().hex[:12], init=False)

    def __post_init__(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.kafka, "log_level": 0})
        names = [*map(self.topic, self.kinds), self.dlq]
        new = [NewTopic(name, PARTITIONS, 1, config={"retention.ms": "-1"}) for name in names]
        for made in admin.create_topics(new).values():
            made.result(30)
        until(lambda: set(names) <= set(admin.list_topics(timeout=30).topics), "the topics")
        tree = {
            "bus": {"kafka": {"brokers": self.kafka, "dlq_topic": self.dlq}},
            "store": {"url": "postgresql://127.0.0.1:1/none"},  # which connectors never ask
            "messages": {"realm": self.realm},
            "telemetry": {"metrics_port": 0},
            **self.sections,
        }
        self.config = self.folder / "streaming.yaml"
        self.config.write_text(yaml.safe_dump(tree), encoding="utf-8")

    @property
    def dlq(self) -> str:
        return f"dlq-{self.realm}"

    def topic(self, kind: str) -> str:
        return str(message_type(kind).topic("dev", self.realm))

    def start(self, connector: str | Path, *arguments: str, secrets: Mapping[str, str] | None = None) -> Running:
        command = [sys.executable, "-c", "from mdp.cli import main; main()", "connect", "run"]
        command += ["--connector", str(connector), "--config", str(self.config), *arguments]
        environment = {**os.environ, "MDP_HOME": str(self.folder / "home"), **(secrets or {})}
        return Running(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        )

    def envelopes(self, kind: str = "trades/v2") -> list[dict[str, Any]]:
        return [record.json for record in records(self.kafka, self.topic(kind))]

    def sequences(self) -> list[int]:
        """Those of all trades, repeats among them."""
        return [int(one["sequence"]) for one in self.envelopes()]

    def distinct(self) -> int:
        """How many different ids the trades have."""
        return len({one["event_id"] for one in self.envelopes()})

    def refused(self) -> list[tuple[str, bytes | None]]:
        return [(one.header("dlq_reason"), one.value) for one in records(self.kafka, self.dlq)]


@dataclass
class Running:
    """A connector in a process of its own."""

    process: subprocess.Popen[str]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def stop(self, seconds: float = 30) -> tuple[int, str]:
        """Ends it as a service manager does; returns its exit code and what it said."""
        self.process.terminate()
        return self.ended(seconds)

    def ended(self, seconds: float = 60) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=seconds)
        return self.process.returncode, said

    @property
    def memory_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def manifest(folder: Path, text: str, **changes: Any) -> Path:
    """A manifest's file."""
    file = folder / "acme.yaml"
    file.write_text(yaml.safe_dump(json.loads(json.dumps(yaml.safe_load(text) | changes))), encoding="utf-8")
    return file
