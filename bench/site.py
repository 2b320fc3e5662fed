"""The environment of contenders: a local stack with topics, and a separate database and outputs for each run."""

from __future__ import annotations

import os
import resource
import subprocess
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench import meter, reference, topic
from bench.contenders import Contender, Topic
from bench.pipeline import OUTPUTS
from mdp.local import LocalStack

PARTITIONS = 4
PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Run:
    """The resources and results of one contender in one round.

    Attributes:
        records: events read, including duplicates.
        cpu_s, seconds: from its first fetch to its last commit.
        whole_cpu_s: of the process from its start to its end, descendants included, by the kernel's account.
        rss_mb: peak of resident memory of the largest process.
        verdict: None without bars.
        features, signals: rows written.
    """

    contender: str
    records: int
    cpu_s: float
    seconds: float
    whole_cpu_s: float
    rss_mb: float
    verdict: reference.Verdict | None
    features: int | None = None
    signals: int | None = None

    @property
    def correct(self) -> bool:
        """Whether every bar equals the reference, and has its features."""
        if self.verdict is None:
            return True
        return self.verdict.exact and self.features in (None, self.verdict.bars)


class Site:
    """`laboratory` is a process for work on frames, as a child's peak of memory starts with its parent's."""

    def __init__(self, stack: LocalStack, folder: Path, laboratory: ProcessPoolExecutor) -> None:
        self._stack = stack
        self._folder = folder
        self._laboratory = laboratory
        self._records: dict[Topic, int] = {}
        self._runs = 0
        self._admin = AdminClient({"bootstrap.servers": stack.kafka.bootstrap, "log_level": 0})

    def prepare(self, name: Topic, count: int, start: int, form: topic.Form = "json") -> int:
        """Writes a topic and its reference; returns the number of its events, including duplicates."""
        self._create_topic(_events(name))
        brokers = self._stack.kafka.bootstrap
        self._laboratory.submit(topic.fill, brokers, _events(name), count, start, form).result()
        counted = self._laboratory.submit(reference.write, self._reference(name), count, start).result()
        self._records[name] = counted
        return counted

    def run(self, contender: Contender) -> Run:
        """Runs a contender, compares its results, and drops them."""
        self._runs += 1
        name = f"{contender.name}-{self._runs}"
        with psycopg.connect(self._stack.postgres.conninfo(), autocommit=True) as owner:
            owner.execute(f'CREATE DATABASE "{name}"'.encode())
            try:
                return self._measured(contender, name)
            finally:
                owner.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())

    def _measured(self, contender: Contender, name: str) -> Run:
        command = [contender.python, "-m", contender.module, *contender.options, *self._options(contender, name)]
        spent, usage = self._timed(command, name)
        return Run(
            contender=contender.name,
            records=self._records[contender.topic],
            cpu_s=spent.cpu_s,
            seconds=spent.seconds,
            whole_cpu_s=usage.ru_utime + usage.ru_stime,
            rss_mb=usage.ru_maxrss / 1024,
            verdict=None if contender.job == "read" else self._verdict(contender, name),
            features=self._rows(name, "features") if contender.job == "full" else None,
            signals=self._rows(name, "signals") if contender.job == "full" else None,
        )

    def _verdict(self, contender: Contender, name: str) -> reference.Verdict:
        table = "bars_ohlcv" if contender.ours else "bars"
        conninfo, file = self._stack.postgres.conninfo(name), self._reference(contender.topic)
        judged = self._laboratory.submit(reference.judge, conninfo, table, file, closed_only=contender.closed_only)
        return judged.result()

    def _rows(self, database: str, table: str) -> int:
        return reference.rows(self._stack.postgres.conninfo(database), table)

    def _options(self, contender: Contender, name: str) -> list[str]:
        events, brokers = _events(contender.topic), self._stack.kafka.bootstrap
        if contender.ours:
            for output in OUTPUTS:
                self._create_topic(f"{name}.{output}")
            return [f"--topic={events}", f"--outputs={name}", f"--recovery={self._folder / name}"]
        settings = {"brokers": brokers, "topic": events}
        if contender.job != "read":
            settings["conninfo"] = self._stack.postgres.conninfo(name)
        return [f"--{key}={value}" for key, value in settings.items()]

    def _timed(self, command: list[str], name: str) -> tuple[meter.Spent, resource.struct_rusage]:
        log = self._folder / f"{name}.log"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                command, cwd=PROJECT, env=self._environment(name), stdout=subprocess.PIPE, stderr=errors, text=True
            )
            assert process.stdout is not None
            printed = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            ending = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
            raise SystemExit(f"{name} ended with exit code {process.returncode}:\n{ending}")
        return meter.spent(printed), usage

    def _environment(self, database: str) -> dict[str, str]:
        postgres = self._stack.postgres
        compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return {
            **compiled,
            "KAFKA_BROKERS": self._stack.kafka.bootstrap,
            "DATABASE_URL": postgres.url.rpartition("/")[0] + f"/{database}",
            "PGPASSFILE": str(postgres.passfile),
        }

    def _reference(self, name: Topic) -> str:
        return str(self._folder / f"{name}.parquet")

    def _create_topic(self, name: str) -> None:
        config = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": "10485760"}
        self._admin.create_topics([NewTopic(name, PARTITIONS, 1, config=config)])[name].result(30)


def _events(name: Topic) -> str:
    return f"bench.{name}"
