"""A Kafka broker that talks TLS only, and only to those who know a password (SASL/SCRAM-SHA-512)."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from confluent_kafka.admin import AdminClient

from mdp.local import jars, java, ports
from mdp.local.process import ServerProcess, run_as
from mdp.local.records import write_private
from tests.harness import until
from tests.security.certificates import Certificates

BROKER_PASSWORD = "of-the-broker-itself"
CLUSTER = "Abcdefghijklmnopqrstuv"
LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule required"
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners=SASL_SSL://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=SASL_SSL://{host}:{port}
listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=SASL_SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={login} username="broker" password="{password}";
ssl.keystore.type=PEM
ssl.keystore.location=keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location=truststore.pem
log.dirs=data
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=8388608
"""


class SecureKafka:
    """The broker under `folder`, and the user who may use it."""

    user = "mdp"

    def __init__(self, folder: Path, certificates: Certificates, password: str) -> None:
        self.folder, self.certificates, self.password = folder / "kafka", certificates, password
        self.port, self.controller_port = ports.choose(ports.KAFKA_PORTS, 2)
        self.process = ServerProcess("Kafka", folder / "kafka.pid", folder / "kafka.log")

    @property
    def bootstrap(self) -> str:
        return f"{ports.HOST}:{self.port}"

    @property
    def options(self) -> dict[str, str]:
        """What a client needs, as under `bus.kafka.options`."""
        return {
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(self.certificates.authority),
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": self.user,
            "sasl.password": self.password,
        }

    @property
    def client(self) -> dict[str, str | int | float | bool]:
        return {**self.options, "bootstrap.servers": self.bootstrap, "log_level": 0}

    def start(self) -> None:
        class_path = jars.fetch(jars.cache_folder(), lambda _: None)
        write_private(self.folder / "keystore.pem", self.certificates.key + self.certificates.chain)
        write_private(self.folder / "truststore.pem", self.certificates.authority_text)
        given = {"host": ports.HOST, "port": self.port, "controller_port": self.controller_port}
        write_private(
            self.folder / "server.properties", PROPERTIES.format(**given, login=LOGIN, password=BROKER_PASSWORD)
        )
        passwords = {"broker": BROKER_PASSWORD, self.user: self.password}
        users = [f"SCRAM-SHA-512=[name={name},password={password}]" for name, password in passwords.items()]
        scram = [part for user in users for part in ("--add-scram", user)]
        arguments = ["format", "-t", CLUSTER, "-c", "server.properties", *scram]
        command = java.command(class_path, [], "kafka.tools.StorageTool", *arguments)
        run_as(None, command, self.folder, os.environ, "the storage cannot be formatted")
        cache = java.StartCache(jars.cache_folder(), self.folder / "recording.aot")
        options = cache.options if cache.file.exists() else []
        self.process.spawn(
            java.command(class_path, options, "kafka.Kafka", "server.properties"), self.folder, None, os.environ
        )
        until(self._listens, "Kafka with TLS and SCRAM")

    def stop(self) -> None:
        self.process.stop(signal.SIGTERM, 30)

    def _listens(self) -> bool:
        if self.process.pid is None:
            raise self.process.failure()
        return ports.answers(self.port) and bool(AdminClient(self.client).list_topics(timeout=30).brokers)
