"""Batches in the log that cannot be unpacked: they end a flow with a line, or are left out, and nothing else is."""

import json
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.harness import Deployment, Deployments, create_topic, kill, until

START_MS = 1_761_314_400_000  # a whole window
LARGE = "a" * 40_000_000  # 1 KB when zstd has packed it; three of them are more than librdkafka unpacks
RUN = ("stream", "run", "--until-end")
SKIP = "bus.kafka.on_unreadable=skip"
COUNTED = "SELECT sum(accepted + amending)::bigint, sum(rejected)::bigint FROM progress"
GOOD, BROKEN = 6, 1


def tick(seq: int, **more: Any) -> bytes:
    at = f"2025-10-24T14:00:{seq:02}Z"
    event = {"ver": 1, "provider": "feed", "symbol": "SPY", "kind": "tick", "src_ts": at, "c": 1.0, "v": 1.0}
    return json.dumps({**event, "seq": seq, **more}).encode()


def only_error(said: str) -> str:
    (line,) = [line for line in said.splitlines() if line.startswith("error:")]
    assert "Traceback" not in said
    return line


def send(kafka: str, topic: str, partition: int, *values: bytes) -> None:
    """As one batch."""
    options = {"compression.type": "zstd", "linger.ms": 10_000, "batch.size": 1_000_000_000}
    room = {"message.max.bytes": 1_000_000_000, "queue.buffering.max.kbytes": 1_000_000}
    producer = Producer({"bootstrap.servers": kafka, **options, **room})
    for value in values:
        producer.produce(topic, value, b"SPY", partition, timestamp=START_MS + 60_000)
    assert producer.flush(60) == 0


@pytest.fixture(scope="module")
def topic(deploy: Deployments) -> str:
    """Of two partitions. In the first, offsets 2 to 4 are one batch that becomes 120 MB, and so are 6 to 8."""
    kafka = deploy.stack.kafka.bootstrap
    topic = create_topic(kafka, "unreadable", 2, message_timestamp_type="CreateTime", retention_ms="-1")
    bombs = [tick(10 + number, note=LARGE) for number in range(3)]
    for partition, values in (
        (0, [tick(0), tick(1)]),
        (0, bombs),
        (0, [b"junk"]),
        (0, bombs),
        (0, [tick(20), tick(21)]),
        (1, [tick(0), tick(1)]),
    ):
        send(kafka, topic, partition, *values)
    return topic


@pytest.fixture
def flow(deploy: Deployments, topic: str) -> Deployment:
    return deploy(topic, partitions=2, name="unreadable")


@pytest.fixture(scope="module")
def expected(deploy: Deployments, topic: str) -> dict[str, list[str]]:
    flow = deploy(topic, partitions=2, name="unreadable")
    flow.run(SKIP)
    return flow.tables()


def test_they_end_a_flow_with_a_line_that_names_the_records_and_what_to_do(flow: Deployment) -> None:
    code, said = flow.mdp(*RUN)
    assert code == 2
    assert f"{flow.events}[0]: records 2 to 4 cannot be unpacked" in only_error(said)
    assert SKIP in only_error(said)


def test_they_alone_are_left_out_and_not_met_again(flow: Deployment) -> None:
    code, said = flow.mdp(*RUN, "--set", SKIP)
    assert code == 0, said
    assert [f"records {span} cannot" in said for span in ("2 to 4", "6 to 8")] == [True, True]
    assert flow.query(COUNTED) == [(GOOD, BROKEN)]
    rows = flow.tables()
    code, said = flow.mdp(*RUN)  # which would stop for them
    assert code == 0, said
    assert flow.tables() == rows


def test_a_crash_while_they_are_left_out_changes_nothing(flow: Deployment, expected: dict[str, list[str]]) -> None:
    worker = flow.start(SKIP)
    until(lambda: "going on without them" in flow.said.read_text(errors="replace"), "the first of them")
    kill(worker)
    flow.run(SKIP)
    assert flow.tables() == expected
    assert flow.query(COUNTED) == [(GOOD, BROKEN)]


def test_those_who_read_the_topic_otherwise_do_the_same(flow: Deployment) -> None:
    target = create_topic(flow.kafka, "again", 2)
    replay = (
        "stream",
        "replay",
        "--to-topic",
        target,
        "--from",
        "2025-10-24T14:00:00Z",
        "--to",
        "2025-10-24T15:00:00Z",
    )
    code, said = flow.mdp(*replay)
    assert code == 2
    assert "records 2 to 4 cannot be unpacked" in only_error(said)
    code, said = flow.mdp(*replay, "--json", "--set", SKIP)
    assert code == 0, said
    assert f'"events": {GOOD}' in said
