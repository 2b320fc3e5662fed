"""The pods of deploy/kubernetes on this machine: their commands as they stand there, and an address for each pod."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from tests.deployment.kubernetes_files import Object, arguments, generated, named, pod
from tests.harness import SECONDS, kill, until

WORKER = named("StatefulSet", "mdp-worker")
MDP = [sys.executable, "-c", "from mdp.cli import main; main()"]
STOP_SECONDS = pod(WORKER)["terminationGracePeriodSeconds"]


def address(ordinal: int) -> str:
    return f"127.0.0.{2 + ordinal}"


@dataclass
class Node:
    """Runs containers as processes, with the files of the ConfigMap and the variables of the Secret."""

    folder: Path
    kafka: str
    database: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        prefix = uuid.uuid4().hex
        (self.folder / "configs").mkdir()
        for name, file in generated()["mdp-configs"].items():
            topics_of_its_own = file.read_text(encoding="utf-8").replace(" mdp.", f" {prefix}.")
            (self.folder / "configs" / name).write_text(topics_of_its_own, encoding="utf-8")

    def start(self, container: Object, ordinal: int = 0) -> subprocess.Popen[bytes]:
        line = arguments(container, ordinal)
        for number in range(WORKER["spec"]["replicas"]):
            line = [part.replace(f"mdp-worker-{number}.mdp-worker", address(number)) for part in line]
        return self.run(*(part.replace("0.0.0.0", address(ordinal)) for part in line), home=f"state-{ordinal}")

    def run(self, *command: str, home: str = "state") -> subprocess.Popen[bytes]:
        given = {"KAFKA_BROKERS": self.kafka, "DATABASE_URL": self.database, "MDP_HOME": str(self.folder / home)}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MDP_")}
        with (self.folder / "said.log").open("ab") as said:
            process = subprocess.Popen(
                [*MDP, *command],
                cwd=self.folder,
                env={**kept, **given},
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    @property
    def said(self) -> str:
        return (self.folder / "said.log").read_text(errors="replace")[-5_000:]

    def bars(self) -> int:
        with psycopg.connect(self.database) as connection:
            row = connection.execute("SELECT count(*) FROM bars_ohlcv").fetchone()
            return int(row[0]) if row else 0


@pytest.fixture
def node(tmp_path: Path, kafka: str, database: str) -> Iterator[Node]:
    made = Node(tmp_path, kafka, database)
    yield made
    for process in made.processes:
        if process.poll() is None:
            kill(process)


def is_ready(ordinal: int) -> bool:
    """What the kubelet asks."""
    [container] = pod(WORKER)["containers"]
    [port] = [one["containerPort"] for one in container["ports"] if one["name"] == "metrics"]
    url = f"http://{address(ordinal)}:{port}{container['readinessProbe']['httpGet']['path']}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(json.load(answer)["ready"])
    except urllib.error.URLError:
        return False


@pytest.mark.slow
def test_the_jobs_prepare_and_the_pods_of_the_set_make_bars_of_what_comes(node: Node) -> None:
    for name in ("mdp-topics", "mdp-schema"):
        [container] = pod(named("Job", name))["containers"]
        assert node.start(container).wait(SECONDS) == 0, node.said
    [container] = pod(WORKER)["containers"]
    ordinals = range(WORKER["spec"]["replicas"])
    pods = [node.start(container, ordinal) for ordinal in ordinals]
    market = ("stream", "produce", "--provider", "synthetic", "--symbols", "8", "--rate", "4000", "--count", "24000")
    assert node.run(*market).wait(SECONDS) == 0, node.said
    until(lambda: node.bars() > 0 or any(process.poll() is not None for process in pods), "bars")
    until(lambda: all(map(is_ready, ordinals)) or any(process.poll() is not None for process in pods), "readiness")
    assert [process.poll() for process in pods] == [None] * len(pods), node.said
    for process in pods:
        process.terminate()
    assert [process.wait(STOP_SECONDS) for process in pods] == [0] * len(pods), node.said
    snapshots = [part.parts[-4] for part in node.folder.glob("state-*/recovery/*/part-*.sqlite3")]
    assert snapshots == ["state-0"], "all state is on the volume of the first pod"
