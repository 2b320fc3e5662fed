"""One Apache Kafka broker (KRaft, its own controller) on loopback."""

from __future__ import annotations

import base64
import os
import signal
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from mdp.local import jars, java, ports
from mdp.local.errors import LocalStackError
from mdp.local.process import ServerProcess, run_as
from mdp.local.records import read_record, write_private, write_record
from transports.kafka import readiness

START_SECONDS = 180.0  # it looks through its logs after a kill, on a machine that may be busy
STOP_SECONDS = 30.0  # includes assembling the ahead-of-time cache, once per user

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
log.dirs=data
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# After a SIGKILL the broker waits until the session of its former process has expired.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
# The default is 128 MiB, half the heap.
log.cleaner.dedupe.buffer.size=8388608
"""


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Settings kept as long as the broker's data, as its metadata log contains the controller's port and cluster id."""

    port: int
    controller_port: int
    cluster_id: str


class Kafka:
    """The broker under `root`: `kafka/` holds its data, `kafka.json` its ports, `logs/kafka.log` its log."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "kafka"
        self.settings_file = root / "kafka.json"
        self.process = ServerProcess("Kafka", root / "kafka.pid", root / "logs" / "kafka.log")

    @property
    def settings(self) -> BrokerSettings | None:
        """The settings; None before the first start."""
        record = read_record(self.settings_file)
        return None if record is None else BrokerSettings(**record)

    @property
    def bootstrap(self) -> str:
        """The `bootstrap.servers` of clients."""
        return f"{ports.HOST}:{self._settled().port}"

    def start(self, progress: Callable[[str], None] = lambda _: None) -> None:
        """Start the broker unless it runs, and return once it has served a transaction and a consumer group.

        Raises LocalStackError if a port is in use, a jar is not available, or the broker ended.
        """
        if self.process.pid is None:
            self._launch(progress)
        if not ports.wait_until(self._listens_or_ended, START_SECONDS) or self.process.pid is None:
            raise self.process.failure()
        try:
            readiness.exercise(self.bootstrap, START_SECONDS)
        except TimeoutError:
            raise self.process.failure() from None
        progress(f"Kafka: ready on {self.bootstrap}")

    def stop(self) -> None:
        """Stop the broker cleanly; does nothing if it does not run."""
        if self.process.stop(signal.SIGTERM, STOP_SECONDS):
            self._cache.keep()

    def kill(self) -> None:
        """End the broker by SIGKILL, as a crash does."""
        self.process.kill()

    @property
    def _cache(self) -> java.StartCache:
        return java.StartCache(jars.cache_folder(), self.folder / "recording.aot")

    def _listens_or_ended(self) -> bool:
        return self.process.pid is None or ports.answers(self._settled().port)

    def _settled(self) -> BrokerSettings:
        if self.settings is None:
            raise LocalStackError("Kafka has never been started here: start the local stack first")
        return self.settings

    def _launch(self, progress: Callable[[str], None]) -> None:
        settings = self.settings or self._choose_settings()
        remedy = f"stop that process, or write another port into {self.settings_file}"
        ports.require_free(settings.port, "Kafka", remedy)
        ports.require_free(settings.controller_port, "Kafka's controller", "stop that process")
        class_path = jars.fetch(jars.cache_folder(), progress)
        properties = PROPERTIES.format(host=ports.HOST, port=settings.port, controller_port=settings.controller_port)
        write_private(self.folder / "server.properties", properties)
        self._format(class_path, settings.cluster_id)
        self._cache.recording.unlink(missing_ok=True)  # a broker killed during its stop may have left a partial one
        progress(f"Kafka: starting on {ports.HOST}:{settings.port}")
        command = java.command(class_path, self._cache.options, "kafka.Kafka", "server.properties")
        self.process.spawn(command, self.folder, None, os.environ)

    def _choose_settings(self) -> BrokerSettings:
        port, controller_port = ports.choose(ports.KAFKA_PORTS, 2)
        # Kafka's tools parse an id that starts with '-' as an option; this version-4 UUID always starts with 'A'.
        cluster_id = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        settings = BrokerSettings(port, controller_port, cluster_id)
        write_record(self.settings_file, asdict(settings))
        return settings

    def _format(self, class_path: list[Path], cluster_id: str) -> None:
        if (self.folder / "data" / "meta.properties").exists():
            return
        arguments = ["format", "--ignore-formatted", "-t", cluster_id, "-c", "server.properties"]
        command = java.command(class_path, [], "kafka.tools.StorageTool", *arguments)
        run_as(None, command, self.folder, os.environ, f"Kafka's storage in {self.folder} cannot be formatted")
