"""Deployments of the pipeline: topics, a database and saved state of their own, and worker processes on them.

What comes out of one is read back in a form that can be compared: tables as text that tells every bit of a float
apart, topics as the records that are committed, in order.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tomllib
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

import polars as pl
import psycopg
import yaml
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from codec.encode import encode
from flows import stop
from mdp.local import LocalStack, ports
from tests.forked import Process, fork

PROJECT = Path(__file__).resolve().parent.parent
_BUILT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["uv"]["build-backend"]
PACKAGES: tuple[str, ...] = tuple(_BUILT["module-name"])  # that the wheel has
SECONDS = 120.0  # for whatever has to happen some time
STOPPED = (0, stop.STUCK)  # after a stop, in tests of something else: a busy machine may take too long
CHANGING_HEADERS = ("flow", "producer", "run_id", "failed_at", "produced_at")  # who wrote it, and when

# Everything but what depends on when, and by whom, a row was written.
TABLES = {
    "bars_ohlcv": 'SELECT * FROM bars_ohlcv ORDER BY provider, symbol COLLATE "C", "interval", window_start',
    "features": 'SELECT * FROM features ORDER BY provider, symbol COLLATE "C", "interval", ts',
    "signals": 'SELECT * FROM signals ORDER BY provider, symbol COLLATE "C", "interval", ts, name, adapter',
    "progress": "SELECT topic, partition, next_offset, accepted, amending, duplicate, late, rejected, heartbeat"
    " FROM progress ORDER BY topic, partition",
}


class Record(NamedTuple):
    """A committed record; `headers` without those that change from run to run."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    def header(self, name: str) -> str:
        return (dict(self.headers)[name] or b"").decode()

    @property
    def json(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.value or b"")
        return content


def until(condition: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
    """Returns when the condition holds, and fails the test when it does not come to that."""
    assert ports.wait_until(lambda: bool(condition()), seconds), f"{what}: not within {seconds:.0f} s"


def create_topic(kafka: str, prefix: str, partitions: int, **config: str) -> str:
    """A topic of its own; underscores in the names of its settings stand for dots."""
    name = f"{prefix}-{uuid.uuid4().hex}"
    create_topic_named(kafka, name, partitions, {key.replace("_", "."): value for key, value in config.items()})
    return name


def create_topic_named(kafka: str, name: str, partitions: int, config: Mapping[str, str] | None = None) -> None:
    """Creates a topic of this name, and waits until the broker has it."""
    admin = AdminClient({"bootstrap.servers": kafka, "log_level": 0})
    admin.create_topics([NewTopic(name, partitions, 1, config=dict(config or {}))])[name].result(30)
    until(lambda: len(admin.list_topics(name, timeout=30).topics[name].partitions) == partitions, f"topic {name}")


def recreate_topic(kafka: str, topic: str, partitions: int) -> None:
    """Deletes a topic, and creates another one of its name."""
    admin = AdminClient({"bootstrap.servers": kafka, "log_level": 0})
    admin.delete_topics([topic])[topic].result(30)
    until(lambda: topic not in admin.list_topics(timeout=30).topics, "the end of the topic")
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(30)
    until(lambda: len(admin.list_topics(topic, timeout=30).topics[topic].partitions) == partitions, f"topic {topic}")


def create_database(stack: LocalStack) -> str:
    """The conninfo of an empty database; it goes with the stack."""
    return _create_database(stack.postgres.conninfo())


@contextmanager
def empty_database(server: str) -> Iterator[str]:
    """The conninfo of a new database of the server that `server` leads to; it goes with the context."""
    conninfo = _create_database(server)
    yield conninfo
    with psycopg.connect(server, autocommit=True) as owner:
        name = sql.Identifier(str(conninfo_to_dict(conninfo)["dbname"]))
        owner.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def _create_database(server: str) -> str:
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return make_conninfo(server, dbname=name)


def produce_on_time(kafka: str, topic: str, chunks: Iterable[pl.DataFrame], partitions: int) -> None:
    """Sends OUTGOING frames as JSON, each record with the time of its arrival as its timestamp."""
    producer = Producer({"bootstrap.servers": kafka, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
    for chunk in chunks:
        values = iter(encode(chunk.filter(pl.col("raw").is_null()), "json"))
        for symbol, raw, arrival in chunk.select("symbol", "raw", "arrival").iter_rows():
            value = next(values) if raw is None else raw
            partition = sum(symbol.encode()) % partitions
            producer.produce(topic, value, symbol.encode(), partition, timestamp=arrival // 1_000_000)
        producer.poll(0)
    assert producer.flush(60) == 0


def partition_of(message: Message) -> int:
    """Of a message that was consumed; others may have none."""
    partition = message.partition()
    assert partition is not None
    return partition


def headers_of(message: Message) -> list[tuple[str, bytes | None]]:
    """Of a message that was consumed, in their order."""
    return cast(list[tuple[str, bytes | None]], message.headers() or [])


def records(kafka: str, topic: str, without: Collection[str] = CHANGING_HEADERS) -> list[Record]:
    """The committed records of a topic, partition by partition, each in its order; some headers are left out."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": uuid.uuid4().hex,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    partitions = sorted(consumer.list_topics(topic, timeout=30).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    found: dict[int, list[Record]] = {partition: [] for partition in partitions}
    ended: set[int] = set()
    while len(ended) < len(partitions):
        for message in consumer.consume(10_000, timeout=0.1):
            error = message.error()
            if error is None:
                headers = tuple(pair for pair in headers_of(message) if pair[0] not in without)
                record = Record(partition_of(message), message.key(), message.value(), headers)
                found[record.partition].append(record)
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                ended.add(partition_of(message))
    consumer.close()
    return [record for partition in partitions for record in found[partition]]


@dataclass
class Deployment:
    """One pipeline: a config file, the topics and the database it names, and the processes started on it."""

    stack: LocalStack
    folder: Path
    events: str
    partitions: int
    sections: Mapping[str, Any]
    rules: Sequence[Mapping[str, Any]] = ()
    name: str = "mdp"
    database: str = field(init=False)
    topics: dict[str, str] = field(init=False)
    processes: list[Process] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.database = create_database(self.stack)
        # A rejected record is a little longer in the DLQ than it was.
        self.topics = {
            kind: create_topic(self.kafka, kind, self.partitions, max_message_bytes="4000000")
            for kind in ("signals", "bars", "dlq", "late")
        }
        self.configure(self.sections)

    @property
    def kafka(self) -> str:
        return self.stack.kafka.bootstrap

    @property
    def config(self) -> Path:
        return self.folder / "streaming.yaml"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def configure(self, sections: Mapping[str, Any]) -> None:
        """Writes the config file."""
        topics = {f"{kind}_topic": topic for kind, topic in self.topics.items()}
        kafka = {"brokers": self.kafka, "topic": self.events, "consumer_group": f"group-{self.events}", **topics}
        tree = {
            "name": self.name,
            "bus": {"kafka": kafka},
            "store": {"url": self.database},
            "telemetry": {"metrics_port": 0},
            "recovery": {"interval_s": 1},
            **sections,
        }
        if self.rules:
            rules = self.folder / "rules.yaml"
            rules.write_text(yaml.safe_dump([dict(rule) for rule in self.rules]))
            tree["inference"] = {"adapters": {"rules": {"file": str(rules)}}}
        self.config.write_text(yaml.safe_dump(tree))

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "MDP_HOME": str(self.home), "MDP_CONFIG": str(self.config)}

    def start(self, *overrides: str, flow: str = "market", workers: int = 1) -> Process:
        """Starts a worker, or a cluster of them in a process group of its own."""
        return self.fork("tests.worker:main", flow, str(workers), *overrides)

    def mdp(self, *arguments: str) -> tuple[int, str]:
        """Runs an `mdp` command on this deployment to its end; its exit code, and what it said there."""
        before = len(self.said.read_bytes()) if self.said.exists() else 0
        code = self.command(*arguments).wait(SECONDS)
        return code, self.said.read_bytes()[before:].decode(errors="replace")

    def command(self, *arguments: str, **environment: str) -> Process:
        """Starts an `mdp` command on this deployment."""
        return self.fork("mdp.cli:main", *arguments, **environment)

    def fork(self, function: str, *arguments: str, **environment: str) -> Process:
        """Starts a function of the project, as `module:function`, on this deployment; what it says goes to a file."""
        with self.said.open("ab") as said:
            process = fork(function, arguments, {**self.environment, **environment}, said.fileno())
        self.processes.append(process)
        return process

    def spawn(self, command: Sequence[str], **environment: str) -> subprocess.Popen[bytes]:
        """Starts a program on this deployment; what it says goes to a file."""
        with self.said.open("ab") as said:
            process = subprocess.Popen(
                command,
                cwd=PROJECT,
                env={**self.environment, **environment},
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def run(self, *overrides: str, flow: str = "market", workers: int = 1) -> None:
        """Runs to the end that the log has now."""
        self.ends_well(self.start("run.until_end=true", *overrides, flow=flow, workers=workers))

    def ends_well(self, *processes: Process) -> None:
        """Waits for the processes, which have to end by themselves and without an error."""
        ports.wait_until(lambda: all(process.poll() is not None for process in processes), SECONDS)
        codes = [process.poll() for process in processes]
        assert codes == [0] * len(codes), self.said.read_text(errors="replace")[-5_000:]

    @property
    def said(self) -> Path:
        return self.folder / "worker.log"

    def stop(self) -> None:
        """Kills what still runs."""
        for process in self.processes:
            if process.poll() is None:
                kill(process)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database) as connection:
            return connection.execute(statement).fetchall()

    def copied(self, statement: str) -> list[str]:
        """Rows as COPY writes them: floats in the shortest form that reads back to the same bits, signed zeros too."""
        with psycopg.connect(self.database) as connection, connection.cursor() as cursor:
            connection.execute("SET TimeZone = 'UTC'")
            with cursor.copy(f"COPY ({statement}) TO STDOUT") as rows:
                return b"".join(rows).decode().splitlines()

    def tables(self) -> dict[str, list[str]]:
        return {name: self.copied(statement) for name, statement in TABLES.items()}

    def row_versions(self) -> dict[str, list[str]]:
        """Where each row lies and which transaction has written it: a row that is updated changes both."""
        return {name: self.copied(f"SELECT xmin, ctid FROM {name} ORDER BY ctid") for name in TABLES}

    def records(self, kind: str) -> list[Record]:
        return records(self.kafka, self.topics[kind])

    def output(self) -> dict[str, list[Record]]:
        """What is on the output topics."""
        return {kind: self.records(kind) for kind in self.topics}

    def connections(self) -> int:
        """How many connections workers hold to the database."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return int(self.query(query)[0][0])

    def has_caught_up(self) -> bool:
        """Whether a live worker has turned all of the log into rows, and into records on the signals topic."""
        if self.progress != len(records(self.kafka, self.events)):
            return False
        return self.query("SELECT count(*) FROM signals") == [(len(self.records("signals")),)]

    @property
    def progress(self) -> int:
        """How many records of the log have been turned into rows: the sum over the partitions."""
        with psycopg.connect(self.database) as connection:
            if connection.execute("SELECT to_regclass('progress')").fetchone() == (None,):
                return 0
            row = connection.execute("SELECT coalesce(sum(next_offset), 0)::bigint FROM progress").fetchone()
            return int(row[0]) if row else 0


def kill(process: Process) -> None:
    """SIGKILL to a process and all that it has started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def assert_same(actual: Mapping[str, Sequence[object]], expected: Mapping[str, Sequence[object]]) -> None:
    """Compares table by table, topic by topic, and names the first row that differs."""
    assert actual.keys() == expected.keys()
    for name, rows in expected.items():
        found = actual[name]
        for number, (left, right) in enumerate(zip(found, rows, strict=False)):
            assert left == right, f"{name}, row {number}: {left!r} is not {right!r}"
        assert len(found) == len(rows), f"{name} has {len(found)} rows and not {len(rows)}"


@dataclass
class Deployments:
    """All deployments of a test session; ends what their tests have left running."""

    stack: LocalStack
    folder: Path
    made: list[Deployment] = field(default_factory=list)

    def __call__(
        self,
        events: str | None = None,
        *,
        partitions: int = 4,
        rules: Sequence[Mapping[str, Any]] = (),
        name: str = "mdp",
        **sections: Mapping[str, Any],
    ) -> Deployment:
        """A new one on `events`, or on a topic of its own."""
        folder = self.folder / f"{name}-{len(self.made)}"
        folder.mkdir()
        events = events or create_topic(self.stack.kafka.bootstrap, "events", partitions)
        deployment = Deployment(self.stack, folder, events, partitions, sections, rules, name)
        self.made.append(deployment)
        return deployment

    def stop(self) -> None:
        for deployment in self.made:
            deployment.stop()
