"""A database that has gone back, to a backup or to nothing: the flow reads the log again, and nothing is missing."""

import re
import shutil
from collections.abc import Mapping

import polars as pl
import psycopg
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from tests.forked import Process
from tests.harness import Deployment, Deployments, assert_same, produce_on_time, until
from tests.market import FEATURES, PARTITIONS, RULES, chunks, empty_topic

RATE = 50.0  # so that the market lasts longer than the state of the flow reaches back
MARKET = pl.concat(list(chunks(10_000, symbols=10, rate=RATE)))
HALF = MARKET.height // 2
BUSY = "micro_batch.flush_timeout_ms=3600000"  # so no heartbeats
GONE_BACK = re.compile(r"the database has lost acknowledged results of market-\w+\[\d\] from record \d+ to \d+")


def deployed(deploy: Deployments, events: str, name: str) -> Deployment:
    return deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name=name)


@pytest.fixture
def flow(deploy: Deployments) -> Deployment:
    """On a topic that holds the first half of the market."""
    events = empty_topic(deploy.stack.kafka.bootstrap)
    produce_on_time(deploy.stack.kafka.bootstrap, events, [MARKET[:HALF]], PARTITIONS)
    return deployed(deploy, events, "flow")


def produce_the_rest(flow: Deployment) -> None:
    produce_on_time(flow.kafka, flow.events, [MARKET[HALF:]], PARTITIONS)


class Backup:
    """A copy of a deployment's database, as its files are now; who is connected is thrown out."""

    def __init__(self, flow: Deployment) -> None:
        self._owner = flow.stack.postgres.conninfo()
        self._original = str(conninfo_to_dict(flow.database)["dbname"])
        self._copy = f"{self._original}_copy"
        self._close()
        self._execute("CREATE DATABASE {copy} TEMPLATE {original}")
        self._execute("ALTER DATABASE {original} ALLOW_CONNECTIONS true")

    def restore(self) -> None:
        self._close()
        self._execute("DROP DATABASE {original} WITH (FORCE)")
        self._execute("ALTER DATABASE {copy} RENAME TO {original}")

    def _close(self) -> None:
        self._execute("ALTER DATABASE {original} ALLOW_CONNECTIONS false")
        with psycopg.connect(self._owner, autocommit=True) as owner:
            query = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s"
            owner.execute(query, [self._original])

    def _execute(self, statement: str) -> None:
        names = {"original": sql.Identifier(self._original), "copy": sql.Identifier(self._copy)}
        with psycopg.connect(self._owner, autocommit=True) as owner:
            owner.execute(sql.SQL(statement).format(**names))


def replace_by_an_empty_one(flow: Deployment) -> None:
    original = sql.Identifier(str(conninfo_to_dict(flow.database)["dbname"]))
    with psycopg.connect(flow.stack.postgres.conninfo(), autocommit=True) as owner:
        owner.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(original))
        owner.execute(sql.SQL("CREATE DATABASE {}").format(original))


def delete_records(flow: Deployment, ends: Mapping[int, int]) -> None:
    """Those before an offset of each partition, as retention does."""
    admin = AdminClient({"bootstrap.servers": flow.kafka})
    places = [TopicPartition(flow.events, partition, end) for partition, end in ends.items()]
    for deleted in admin.delete_records(places).values():
        deleted.result(30)


def next_offsets(flow: Deployment) -> dict[int, int]:
    return dict(flow.query("SELECT partition, next_offset FROM progress"))


def results(flow: Deployment) -> dict[str, list[str]]:
    return {name: rows for name, rows in flow.tables().items() if name != "progress"}


def assert_as_if_undisturbed(deploy: Deployments, actual: Deployment) -> None:
    actual.run(BUSY)
    expected = deployed(deploy, actual.events, "undisturbed")
    expected.run(BUSY)
    assert_same(actual.tables(), expected.tables())
    assert_same(actual.output(), expected.output())


def started(flow: Deployment, workers: int, *overrides: str) -> Process:
    """A live run that has written what the log holds."""
    process = flow.start(BUSY, *overrides, workers=workers)
    until(lambda: flow.has_caught_up() or process.poll() is not None, "all of the log")
    assert process.poll() is None, flow.said.read_text()[-5_000:]
    return process


def stopped(flow: Deployment, process: Process) -> None:
    process.terminate()
    flow.ends_well(process)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_backup_that_is_restored_before_a_start_is_made_up_for(
    deploy: Deployments, flow: Deployment, workers: int
) -> None:
    stopped(flow, started(flow, workers))
    backup = Backup(flow)
    produce_the_rest(flow)
    stopped(flow, started(flow, workers))
    backup.restore()
    flow.run(BUSY, workers=workers)  # which has nothing new to read
    assert GONE_BACK.search(flow.said.read_text())
    assert_as_if_undisturbed(deploy, flow)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_backup_that_is_restored_under_a_running_flow_is_made_up_for(
    deploy: Deployments, flow: Deployment, workers: int
) -> None:
    process = started(flow, workers)
    backup = Backup(flow)
    produce_on_time(flow.kafka, flow.events, [MARKET[HALF:-200]], PARTITIONS)
    until(flow.has_caught_up, "the second half")
    backup.restore()
    produce_on_time(flow.kafka, flow.events, [MARKET[-200:]], PARTITIONS)
    until(lambda: flow.has_caught_up() or process.poll() is not None, "the end")
    assert process.poll() is None, flow.said.read_text()[-5_000:]
    stopped(flow, process)
    assert GONE_BACK.search(flow.said.read_text())
    assert_as_if_undisturbed(deploy, flow)


def test_an_empty_database_is_filled_from_where_the_flow_began(flow: Deployment) -> None:
    """In the place of the former one, under a running flow whose two workers began at the end of the topic."""
    latest = "bus.kafka.start=latest"
    process = flow.start(BUSY, latest, workers=2)
    until(lambda: flow.progress == HALF, "the begin of the flow")
    produce_on_time(flow.kafka, flow.events, [MARKET[HALF:-200]], PARTITIONS)
    until(flow.has_caught_up, "all of the log")
    replace_by_an_empty_one(flow)
    produce_on_time(flow.kafka, flow.events, [MARKET[-200:]], PARTITIONS)
    until(lambda: flow.has_caught_up() or process.poll() is not None, "all of the log again")
    assert process.poll() is None, flow.said.read_text()[-5_000:]
    stopped(flow, process)
    before = flow.tables()
    replace_by_an_empty_one(flow)
    stopped(flow, started(flow, 1, latest))
    assert_same(flow.tables(), before)


class TestALogThatHasLostItsBegin:
    @pytest.fixture
    def flow(self, flow: Deployment) -> Deployment:
        """Without the one feature that never forgets."""
        forgetful = [feature for feature in FEATURES["windows"] if feature["name"] != "rsi"]
        flow.rules = [rule for rule in RULES if rule["name"] != "overbought"]
        flow.configure({"features": {"windows": forgetful}})
        return flow

    def test_is_enough_if_it_reaches_back_as_far_as_the_state(self, flow: Deployment) -> None:
        stopped(flow, started(flow, 1))
        half = next_offsets(flow)
        backup = Backup(flow)
        produce_the_rest(flow)
        stopped(flow, started(flow, 1))
        expected, output = results(flow), flow.output()
        backup.restore()
        delete_records(flow, {partition: offset // 5 for partition, offset in half.items()})
        self.read_all(flow)
        assert GONE_BACK.search(flow.said.read_text())
        assert_same(results(flow), expected)
        assert_same(flow.output(), output)

        flow.run(BUSY)
        versions = flow.row_versions()
        shutil.rmtree(flow.home / "recovery")
        flow.run(BUSY)
        assert_same(flow.row_versions(), versions)

    def read_all(self, flow: Deployment) -> None:
        process = flow.start(BUSY)
        until(lambda: flow.progress == MARKET.height or process.poll() is not None, "the end of the log")
        assert process.poll() is None, flow.said.read_text()[-5_000:]
        stopped(flow, process)

    @pytest.mark.slow
    def test_stops_the_flow_with_a_line_that_says_what_is_missing(self, flow: Deployment) -> None:
        stopped(flow, started(flow, 1))
        half = next_offsets(flow)
        backup = Backup(flow)
        produce_the_rest(flow)
        stopped(flow, started(flow, 1))
        backup.restore()
        before = flow.tables()
        delete_records(flow, {partition: offset + 10 for partition, offset in half.items()})
        for workers in ("1", "2"):
            code, said = flow.mdp("stream", "run", "--workers", workers)
            assert code == 2
            told = r"error: .*?\[(\d)\]: the results of records (\d+) to \d+ are not in the outputs, (.*)"
            partition, first, why = re.findall(told, said)[0]  # two processes may say so of one each
            assert half[int(partition)] == int(first)
            assert f"begins with record {int(first) + 10} of 2025-10-24T14:" in why
            assert "bus.kafka.on_gap=continue" in why
            assert_same(flow.tables(), before)
        flow.run(BUSY, "bus.kafka.on_gap=continue")
