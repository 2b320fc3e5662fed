"""A cluster that is kept going: what brings it back, what does not, and how it stops."""

import os
import signal

import polars as pl
import pytest
from confluent_kafka import Consumer, TopicPartition

from chaos.pipeline import workers_of
from flows import stop
from mdp.runtime.cluster import USER_ERROR, Restarts, verdict
from mdp.runtime.processes import AWAY
from tests.forked import Process
from tests.harness import SECONDS, Deployment, Deployments, assert_same, produce_on_time, until
from tests.market import FEATURES, PARTITIONS, RULES, chunks, empty_topic

MARKET = pl.concat(list(chunks(20_000, symbols=20)))
HALF = MARKET.height // 2
STOP_SECONDS = 15.0  # five are promised, of a machine that is not busy


def deployed(deploy: Deployments, events: str, name: str) -> Deployment:
    return deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name=name)


@pytest.fixture
def halfway(deploy: Deployments) -> Deployment:
    """On a topic that holds the first half of the market."""
    kafka = deploy.stack.kafka.bootstrap
    events = empty_topic(kafka)
    produce_on_time(kafka, events, [MARKET[:HALF]], PARTITIONS)
    return deployed(deploy, events, "halfway")


def started(deployment: Deployment, *overrides: str) -> Process:
    """A cluster of two that has written what the log holds."""
    cluster = deployment.start("micro_batch.flush_timeout_ms=3600000", *overrides, workers=2)
    until(lambda: deployment.has_caught_up() or cluster.poll() is not None, "the first half")
    assert cluster.poll() is None, deployment.said.read_text()[-5_000:]
    return cluster


def produce_the_rest(deployment: Deployment) -> None:
    produce_on_time(deployment.kafka, deployment.events, [MARKET[HALF:]], PARTITIONS)


def assert_as_if_undisturbed(deploy: Deployments, actual: Deployment) -> None:
    actual.run()
    expected = deployed(deploy, actual.events, "undisturbed")
    expected.run()
    assert_same(actual.tables(), expected.tables())
    assert_same(actual.output(), expected.output())


def committed(deployment: Deployment) -> list[int]:
    """The offsets that lag tools see."""
    consumer = Consumer({"bootstrap.servers": deployment.kafka, "group.id": f"group-{deployment.events}"})
    places = [TopicPartition(deployment.events, partition) for partition in range(PARTITIONS)]
    offsets = [place.offset for place in consumer.committed(places, timeout=30)]
    consumer.close()
    return offsets


def written(deployment: Deployment) -> list[int]:
    return [offset for (offset,) in deployment.query("SELECT next_offset FROM progress ORDER BY partition")]


@pytest.mark.slow
def test_processes_that_are_suspended_or_killed_change_no_result(deploy: Deployments, halfway: Deployment) -> None:
    cluster = started(halfway)
    suspended, killed = workers_of(cluster.pid)
    os.kill(suspended, signal.SIGSTOP)
    produce_the_rest(halfway)
    os.kill(suspended, signal.SIGCONT)
    os.kill(killed, signal.SIGKILL)
    until(halfway.has_caught_up, "the second half")
    until(lambda: committed(halfway) == written(halfway), "the offsets for lag tools")
    cluster.terminate()
    how = {0: "stopped", stop.STUCK: "failed"}[cluster.wait(SECONDS)]  # a busy machine may take too long
    assert halfway.query("SELECT status FROM job_runs") == [(how,)]
    assert_as_if_undisturbed(deploy, halfway)


@pytest.mark.slow
def test_a_cluster_that_another_one_has_replaced_does_not_come_back(deploy: Deployments, halfway: Deployment) -> None:
    cluster = started(halfway)
    halfway.run(f"recovery.directory={halfway.folder / 'elsewhere'}")
    produce_the_rest(halfway)
    assert cluster.wait(SECONDS) == USER_ERROR
    assert not halfway.connections()


@pytest.mark.slow
def test_a_stop_with_a_database_that_does_not_answer_is_in_time_and_can_be_resumed(
    deploy: Deployments, halfway: Deployment
) -> None:
    cluster = started(halfway)
    silent = [pid for (pid,) in halfway.query("SELECT pid FROM pg_stat_activity WHERE application_name = 'mdp'")]
    try:
        for pid in silent:
            os.kill(pid, signal.SIGSTOP)
        signals = len(halfway.records("signals"))
        produce_the_rest(halfway)
        until(lambda: len(halfway.records("signals")) > signals, "what the database has to be told too")
        cluster.terminate()
        assert cluster.wait(STOP_SECONDS) == stop.STUCK
    finally:
        for pid in silent:
            os.kill(pid, signal.SIGCONT)
    until(lambda: not halfway.connections(), "the end of the connections")
    assert_as_if_undisturbed(deploy, halfway)


def test_crashes_are_followed_by_longer_and_longer_pauses_and_six_within_a_minute_by_none() -> None:
    restarts = Restarts()
    pauses = [restarts.pause(now, crashed=True) for now in (0.0, 10.0, 20.0, 30.0, 40.0, 50.0)]
    assert [0.1 * 2**number <= (pause or 0) <= 0.2 * 2**number for number, pause in enumerate(pauses[:5])] == [True] * 5
    assert pauses[5] is None


def test_a_crash_counts_for_a_minute() -> None:
    restarts = Restarts()
    assert all(restarts.pause(12.5 * number, crashed=True) is not None for number in range(100))


def test_what_is_away_is_waited_for_without_end() -> None:
    restarts = Restarts()
    pauses = [restarts.pause(float(second), crashed=False) or 0.0 for second in range(2_000)]
    assert pauses[0] <= 0.2
    assert 2.5 <= min(pauses[10:]) <= max(pauses) <= 5.0


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([0, 0], 0),
        ([AWAY, -signal.SIGKILL], 128 + signal.SIGKILL),
        ([1, AWAY], 1),
        ([AWAY, 0], AWAY),
        ([-signal.SIGABRT, USER_ERROR, AWAY], USER_ERROR),
    ],
)
def test_the_exit_code_of_a_cluster_is_that_of_the_cause(codes: list[int], expected: int) -> None:
    assert verdict(codes) == expected
