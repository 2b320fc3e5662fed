"""No snapshot has been taken, or another worker has taken over: the outputs themselves say how far they have come."""

import os
import signal

import polars as pl
import pytest

from tests.forked import Process
from tests.harness import SECONDS, Deployment, Deployments, assert_same, kill, produce_on_time, until
from tests.market import FEATURES, PARTITIONS, RULES, chunks, empty_topic

MARKET = pl.concat(list(chunks(30_000, symbols=20)))
HALF = MARKET.height // 2


def deployed(deploy: Deployments, events: str, name: str) -> Deployment:
    return deploy(
        events, partitions=PARTITIONS, rules=RULES, features=FEATURES, recovery={"interval_s": 3_600}, name=name
    )


@pytest.fixture
def halfway(deploy: Deployments) -> Deployment:
    """On a topic that holds the first half of the market."""
    kafka = deploy.stack.kafka.bootstrap
    events = empty_topic(kafka)
    produce_on_time(kafka, events, [MARKET[:HALF]], PARTITIONS)
    return deployed(deploy, events, "halfway")


def started(deployment: Deployment, *overrides: str) -> Process:
    """A live worker that has written all of the first half, and sent signals of every partition."""
    worker = deployment.start("micro_batch.flush_timeout_ms=3600000", *overrides)
    until(lambda: deployment.has_caught_up() or worker.poll() is not None, "the first half")
    assert worker.poll() is None, deployment.said.read_text()[-5_000:]
    assert deployment.progress == HALF
    assert {record.partition for record in deployment.records("signals")} == set(range(PARTITIONS))
    return worker


def produce_the_rest(deployment: Deployment) -> None:
    produce_on_time(deployment.kafka, deployment.events, [MARKET[HALF:]], PARTITIONS)


def assert_as_if_undisturbed(deploy: Deployments, actual: Deployment) -> None:
    expected = deployed(deploy, actual.events, "undisturbed")
    expected.run()
    assert_same(actual.tables(), expected.tables())
    assert_same(actual.output(), expected.output())


def test_a_crash_in_the_first_epoch_repeats_nothing(deploy: Deployments, halfway: Deployment) -> None:
    worker = started(halfway)
    produce_the_rest(halfway)
    until(lambda: halfway.progress > HALF, "some of the second half")
    kill(worker)
    halfway.run()
    assert_as_if_undisturbed(deploy, halfway)


@pytest.mark.slow
def test_a_worker_that_comes_back_after_it_was_replaced_is_fenced(deploy: Deployments, halfway: Deployment) -> None:
    zombie = started(halfway, "recovery.interval_s=1")
    os.kill(zombie.pid, signal.SIGSTOP)
    produce_the_rest(halfway)
    halfway.run(f"recovery.directory={halfway.folder / 'elsewhere'}")
    assert_as_if_undisturbed(deploy, halfway)
    versions, output = halfway.row_versions(), halfway.output()
    os.kill(zombie.pid, signal.SIGCONT)
    assert zombie.wait(SECONDS) > 0
    assert "another worker of this flow has taken over" in halfway.said.read_text()
    assert_same(halfway.row_versions(), versions)
    assert_same(halfway.output(), output)
