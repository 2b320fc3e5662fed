"""Records that processes die of, each time they read them: such a cluster stops, and names them."""

import json
import signal
import sys
from datetime import UTC, datetime

import pytest
from confluent_kafka import Message, Producer
from hypothesis import given
from hypothesis import strategies as st

from mdp.runtime.crash_loop import CrashLoop
from tests.harness import SECONDS, Deployments, produce_on_time
from tests.market import FEATURES, PARTITIONS, START, chunks, empty_topic
from tests.recovery import poisoned_fork_server as poisoned

CLUSTER = """
import sys
from flows.spec import MARKET
from mdp.runtime import processes, worker
processes.SERVER = "tests.recovery.poisoned_fork_server"
sys.exit(worker.run(MARKET, None, sys.argv[1:], 2))
"""
EVENTS = 6_000
KILLED = 128 + signal.SIGKILL
FAULT = 1


def produce_poison(kafka: str, topic: str, src_ts: int) -> Message:
    """The record, as it lies in the topic."""
    delivered: list[Message] = []
    time = datetime.fromtimestamp(src_ts / 1e9, UTC).isoformat()
    event = {"ver": 1, "provider": "p", "symbol": poisoned.SYMBOL, "kind": "tick", "src_ts": time, "c": 1.0, "v": 1.0}
    producer = Producer({"bootstrap.servers": kafka})
    producer.produce(
        topic,
        json.dumps(event),
        partition=1,
        timestamp=src_ts // 10**6,
        on_delivery=lambda _, sent: delivered.append(sent),
    )
    producer.flush(30)
    return delivered[0]


@pytest.mark.parametrize(("death", "code"), [(poisoned.KILLED, KILLED), (poisoned.RAISES, FAULT)])
def test_a_record_that_ends_each_process_that_reads_it_ends_the_cluster_and_is_named(
    deploy: Deployments, death: str, code: int
) -> None:
    kafka = deploy.stack.kafka.bootstrap
    events = empty_topic(kafka)
    before, after = chunks(EVENTS, symbols=20), chunks(EVENTS, symbols=20, start=START + 10 * 10**9)
    produce_on_time(kafka, events, before, PARTITIONS)
    poison = produce_poison(kafka, events, START + 10 * 10**9)
    produce_on_time(kafka, events, after, PARTITIONS)
    deployment = deploy(events, partitions=PARTITIONS, features=FEATURES, name=death)
    cluster = deployment.spawn([sys.executable, "-c", CLUSTER], DEATH=death)
    assert cluster.wait(SECONDS) == code
    said = deployment.said.read_text()
    assert f"dies ({code}) whenever it has read {events}[1] offset {poison.offset()}: giving up" in said
    assert (
        said.count("ValueError: poison") == said.count("restarts from") + 1
        if code == FAULT
        else "Traceback" not in said
    )


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=1), st.booleans())
def test_what_all_deaths_have_in_common_is_never_ruled_out(around: list[tuple[int, int]], another: bool) -> None:
    loop = CrashLoop()
    for before, after in around:
        others = {1: range(before, before + after)} if another else {}
        loop.note(KILLED, {0: range(100 - before, 100 + after), **others})
        assert 100 in loop.in_common[0]


def test_one_record_is_certain_from_the_third_death_on() -> None:
    loop = CrashLoop()
    certain = []
    for _ in range(3):
        loop.note(KILLED, {2: range(7, 8)})
        certain.append(loop.is_certain)
    assert certain == [False, False, True]
    assert loop.where(["events"]) == "events[2] offset 7"


def test_processes_that_get_on_in_between_or_die_of_something_else_are_in_no_loop() -> None:
    getting_on, changing, starting = loops = CrashLoop(), CrashLoop(), CrashLoop()
    for number in range(100):
        getting_on.note(KILLED, {0: range(number, number + 1)})
        changing.note(FAULT + number, {0: range(7, 8)})
        starting.note(KILLED, {})
        assert [loop.is_certain for loop in loops] == [False, False, False]


def test_records_that_cannot_be_told_apart_are_named_in_the_end() -> None:
    loop = CrashLoop()
    while not loop.is_certain:
        loop.note(KILLED, {0: range(7, 9), 3: range(2, 3)})
    assert loop.where(["events"]) == "events[0] offsets 7 to 8, events[3] offset 2"
