"""Kafka and PostgreSQL go away and come back: the flow waits, says so, and its results are as if nothing had been."""

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import polars as pl
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mdp.local import LocalStack, ports
from tests.forked import Process
from tests.harness import SECONDS, Deployment, Deployments, assert_same, produce_on_time, until
from tests.market import FEATURES, PARTITIONS, RULES, chunks, empty_topic

MARKET = pl.concat(list(chunks(20_000, symbols=20)))
HALF = MARKET.height // 2
BUSY = "micro_batch.flush_timeout_ms=3600000"  # so no heartbeats
MOST_MEMORY = 600 * 2**20

Start = tuple[Callable[[], "Process"], Callable[[], set[str]]]


@pytest.fixture(autouse=True)
def _whole_stack(stack: LocalStack) -> Iterator[None]:
    """Whatever becomes of a test, the next one finds both services."""
    yield
    stack.up()


@pytest.fixture
def flow(deploy: Deployments) -> Deployment:
    """On the first half of a market."""
    events = empty_topic(deploy.stack.kafka.bootstrap)
    made = deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES)
    produce_on_time(made.kafka, events, [MARKET[:HALF]], PARTITIONS)
    return made


@pytest.fixture
def start(flow: Deployment) -> Start:
    """Starts a live worker; and tells what it waits for, by its metrics."""
    (port,) = ports.choose(range(20_000, 21_000), 1)

    def worker() -> Process:
        return flow.start(BUSY, f"telemetry.metrics_port={port}")

    def waits_for() -> set[str]:
        try:
            with urllib.request.urlopen(f"http://{ports.HOST}:{port}/metrics", timeout=5) as answer:
                families = list(text_string_to_metric_families(answer.read().decode()))
        except (urllib.error.URLError, OSError):
            return set()
        waiting = next((family.samples for family in families if family.name == "stream_waiting"), [])
        return {sample.labels["service"] for sample in waiting if sample.value > 0}

    return worker, waits_for


def assert_as_if_undisturbed(deploy: Deployments, actual: Deployment) -> None:
    actual.run(BUSY)
    expected = deploy(actual.events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name="undisturbed")
    expected.run(BUSY)
    assert_same(actual.tables(), expected.tables())
    assert_same(actual.output(), expected.output())


def memory(process: Process) -> int:
    """Resident bytes, at their most so far."""
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) * 1_024 for line in status if line.startswith("VmHWM"))


@pytest.mark.slow
def test_services_that_go_away_under_load_are_waited_for(deploy: Deployments, flow: Deployment, start: Start) -> None:
    worker, waits_for = start
    process, stack = worker(), deploy.stack
    until(lambda: flow.progress > 0, "some progress")
    stack.postgres.kill()
    produce_on_time(flow.kafka, flow.events, [MARKET[HALF:-1_000]], PARTITIONS)
    until(lambda: waits_for() == {"the database"}, "a wait for the database")
    stack.kafka.kill()
    until(lambda: waits_for() == {"Kafka", "the database"}, "a wait for both")
    stack.up()
    produce_on_time(flow.kafka, flow.events, [MARKET[-1_000:]], PARTITIONS)
    until(flow.has_caught_up, "all of the log")
    until(lambda: waits_for() == set(), "the end of all waits")
    assert memory(process) < MOST_MEMORY
    process.terminate()
    flow.ends_well(process)
    assert_as_if_undisturbed(deploy, flow)


@pytest.mark.slow
def test_a_flow_that_has_run_before_waits_for_services_when_it_starts(
    deploy: Deployments, flow: Deployment, start: Start
) -> None:
    worker, _ = start
    first = worker()
    until(flow.has_caught_up, "the first half")
    first.terminate()
    flow.ends_well(first)
    produce_on_time(flow.kafka, flow.events, [MARKET[HALF:]], PARTITIONS)
    stack = deploy.stack
    stack.down()
    process = worker()
    until(lambda: b"Kafka is not available, waiting for it" in flow.said.read_bytes(), "a wait for Kafka")
    process.terminate()
    assert process.wait(SECONDS) == 0  # nothing had been read
    process = worker()
    stack.kafka.start()
    until(lambda: b"the database is not available, waiting for it" in flow.said.read_bytes(), "a wait for the database")
    assert process.poll() is None
    stack.postgres.start()
    until(flow.has_caught_up, "all of the log")
    process.terminate()
    flow.ends_well(process)
    assert_as_if_undisturbed(deploy, flow)


@pytest.mark.slow
def test_a_stop_does_not_wait_for_a_database_that_does_not_answer(
    deploy: Deployments, flow: Deployment, start: Start
) -> None:
    worker, waits_for = start
    process = worker()
    until(lambda: flow.progress > 0, "some progress")
    deploy.stack.postgres.kill()
    produce_on_time(flow.kafka, flow.events, [MARKET[HALF:]], PARTITIONS)
    until(lambda: waits_for() == {"the database"}, "a wait for the database")
    process.terminate()
    assert process.wait(6) == 75
    deploy.stack.up()
    assert_as_if_undisturbed(deploy, flow)
