"""Who runs, and where: each contender is a process of its own, measured by the kernel."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench import topic
from bench.pipeline import OUTPUTS
from mdp.local import LocalStack

EVENTS = "bench.events"
PARTITIONS = 4
PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Contender:
    """Attributes:
    module: what `python -m` runs.
    table: where its bars are; None if it writes none.
    """

    name: str
    title: str
    module: str
    table: str | None = None
    options: tuple[str, ...] = ()


def contenders() -> list[Contender]:
    idiomatic = "bench.idiomatic_bytewax"
    return [
        Contender("mdp", "mdp", "bench.pipeline", "bars_ohlcv"),
        Contender("bytewax", "idiomatic Bytewax", idiomatic, "bars"),
        Contender("bytewax-tuned", "Bytewax, tuned", idiomatic, "bars", ("--tuned",)),
        Contender("floor", "floor: read and decode only", "bench.floor"),
    ]


@dataclass(frozen=True)
class Run:
    """What one contender needed in one round; `verdict` is None where there are no bars."""

    contender: str
    round: int
    records: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    verdict: topic.Verdict | None

    @property
    def cpu_per_million(self) -> float:
        return self.cpu_seconds / self.records * 1e6


class Site:
    """A local stack with the topic in it."""

    def __init__(self, stack: LocalStack, folder: Path, laboratory: ProcessPoolExecutor) -> None:
        self._stack = stack
        self._folder = folder
        self._laboratory = laboratory
        self._reference = str(folder / "reference.parquet")
        self._admin = AdminClient({"bootstrap.servers": stack.kafka.bootstrap, "log_level": 0})

    def prepare(self, count: int) -> int:
        """Writes the topic and the reference; the number of records."""
        self._create_topic(EVENTS)
        brokers = self._stack.kafka.bootstrap
        self._laboratory.submit(topic.fill, brokers, EVENTS, count).result()
        return self._laboratory.submit(topic.reference, brokers, EVENTS, self._reference).result()

    def run(self, contender: Contender, number: int, records: int) -> Run:
        """Runs a contender with a database, output topics and saved state of its own."""
        name = f"{contender.name}-{number}"
        with psycopg.connect(self._stack.postgres.conninfo(), autocommit=True) as owner:
            owner.execute(f'CREATE DATABASE "{name}"'.encode())
        conninfo = self._stack.postgres.conninfo(name)
        options = self._options(contender, name, conninfo)
        seconds, usage = _timed([sys.executable, "-m", contender.module, *options], self._environment(name))
        verdict = None
        if contender.table is not None:
            verdict = self._laboratory.submit(topic.judge, conninfo, contender.table, self._reference).result()
        cpu = usage.ru_utime + usage.ru_stime
        return Run(contender.name, number, records, seconds, cpu, usage.ru_maxrss / 1024, verdict)

    def _options(self, contender: Contender, name: str, conninfo: str) -> list[str]:
        if contender.name == "mdp":
            for output in OUTPUTS:
                self._create_topic(f"{name}.{output}")
            return ["--topic", EVENTS, "--outputs", name, "--recovery", str(self._folder / name)]
        connection = ["--brokers", self._stack.kafka.bootstrap, "--topic", EVENTS]
        return connection if contender.table is None else [*connection, "--conninfo", conninfo, *contender.options]

    def _environment(self, database: str) -> dict[str, str]:
        postgres = self._stack.postgres
        compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return {
            **compiled,
            "KAFKA_BROKERS": self._stack.kafka.bootstrap,
            "DATABASE_URL": postgres.url.rpartition("/")[0] + f"/{database}",
            "PGPASSFILE": str(postgres.passfile),
        }

    def _create_topic(self, name: str) -> None:
        config = {"message.timestamp.type": "LogAppendTime"}
        self._admin.create_topics([NewTopic(name, PARTITIONS, 1, config=config)])[name].result(30)


def _timed(command: list[str], environment: dict[str, str]) -> tuple[float, resource.struct_rusage]:
    """Seconds that a command took, and what it used of the machine, descendants included."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=PROJECT, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command[1:3])} ended with exit code {process.returncode}")
    return time.perf_counter() - start, usage
