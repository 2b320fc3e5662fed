import json
import signal
import subprocess
import uuid
from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from contracts.record import Headers
from tests.cli.cli_result import Config, Mdp, Topic

TICK = {"ver": 1, "provider": "p", "symbol": "SPY", "kind": "tick", "src_ts": "2025-10-24T14:02:01Z", "c": 1.5, "v": 2}
SIGNAL = {
    "ver": 1,
    "signal_id": "x",
    "symbol": "SPY",
    "ts": "2025-10-24T14:02:02Z",
    "name": "up",
    "value": 1.0,
    "score": 0.5,
}
BAR = {
    "symbol": "SPY",
    "interval": "2s",
    "window_start": "2025-10-24T14:02:00Z",
    "close": 1.5,
    "vwap": None,
    "trades": 3,
}
REFUSED: Headers = [
    ("source_topic", b"ticks"),
    ("source_partition", b"3"),
    ("source_offset", b"42"),
    ("dlq_reason", b"contract"),
    ("dlq_error", b"v is negative"),
]


def produce(kafka: str, topic: str, *records: tuple[int, int, object], headers: Headers | None = None) -> None:
    """Records of (partition, timestamp in ms, value)."""
    producer = Producer({"bootstrap.servers": kafka})
    for partition, timestamp, value in records:
        data = value if isinstance(value, bytes | None) else json.dumps(value).encode()
        producer.produce(topic, data, b"SPY", partition, timestamp=timestamp, headers=headers)
    assert producer.flush(30) == 0


@pytest.fixture
def lines(mdp: Mdp, config: Config, kafka: str) -> Callable[..., list[str]]:
    def tail(topic: str, *options: str) -> list[str]:
        result = mdp("stream", "tail", "--topic", topic, *options, "--config", config(brokers=kafka))
        assert (result.code, result.err) == (0, "")
        return result.out.splitlines()

    return tail


def test_the_last_records_come_in_the_order_of_their_timestamps(
    lines: Callable[..., list[str]], kafka: str, topic: Topic
) -> None:
    name = topic(partitions=3)
    produce(kafka, name, *((number % 3, 1_000 + number, {**TICK, "seq": number}) for number in range(100)))
    found = [json.loads(line) for line in lines(name, "--limit", "7", "--json")]
    assert [entry["value"]["seq"] for entry in found] == list(range(93, 100))
    assert found[0]["timestamp"] == "1970-01-01T00:00:01.093Z"
    assert {entry["key"] for entry in found} == {"SPY"}


def test_markers_of_transactions_do_not_hide_records(lines: Callable[..., list[str]], kafka: str, topic: Topic) -> None:
    name = topic()
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": uuid.uuid4().hex})
    producer.init_transactions(30)
    for number in range(60):
        producer.begin_transaction()
        producer.produce(name, json.dumps({**TICK, "seq": number}))
        producer.flush(30)  # a transaction whose record has not left cannot be aborted
        producer.flush(30)  # a transaction whose record has not left cannot be aborted
        producer.abort_transaction(30) if number >= 5 else producer.commit_transaction(30)
    found = [json.loads(line)["value"]["seq"] for line in lines(name, "--limit", "3", "--json")]
    assert found == [2, 3, 4]


def test_every_kind_of_record_has_a_line(lines: Callable[..., list[str]], kafka: str, topic: Topic) -> None:
    name = topic()
    heartbeat = {"ver": 1, "kind": "heartbeat", "provider": "p", "src_ts": "2025-10-24T14:02:05Z"}
    values = (TICK, SIGNAL, BAR, heartbeat, b"\x00\x1b[31mjunk", None, b"", b"[" * 100_000)
    produce(kafka, name, *((0, 1_000 + number, value) for number, value in enumerate(values)))
    tick, signal_, bar, beat, junk, nothing, empty, deep = lines(name)
    assert tick.split() == ["2025-10-24T14:02:01Z", "tick", "SPY", "c=1.5", "v=2", "provider=p", "[0]@0"]
    assert signal_.split() == ["2025-10-24T14:02:02Z", "signal", "SPY", "name=up", "value=1", "score=0.5", "[0]@1"]
    assert bar.split() == ["2025-10-24T14:02:00Z", "bar", "SPY", "interval=2s", "close=1.5", "trades=3", "[0]@2"]
    assert beat.split() == ["2025-10-24T14:02:05Z", "heartbeat", "provider=p", "[0]@3"]
    assert junk == "1970-01-01T00:00:01.004Z  unreadable \\x00\\x1b[31mjunk  [0]@4"
    assert nothing == "1970-01-01T00:00:01.005Z  tombstone no value  [0]@5"
    assert empty == "1970-01-01T00:00:01.006Z  unreadable no bytes  [0]@6"
    assert deep.endswith("[[[[…  [0]@7")


@pytest.mark.parametrize("command", ["tail", "produce --provider synthetic --count 1"])
def test_a_topic_that_is_nearly_right_is_set_right(
    mdp: Mdp, config: Config, kafka: str, topic: Topic, command: str
) -> None:
    name = topic()
    result = mdp("stream", *command.split(), "--topic", name[:-1], "--config", config(brokers=kafka))
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert result.err.endswith(f"; did you mean {name}?\n")


def test_a_refused_record_says_why_and_where_from(lines: Callable[..., list[str]], kafka: str, topic: Topic) -> None:
    name = topic()
    produce(kafka, name, (0, 1_000, {"v": -1}), headers=REFUSED)
    (line,) = lines(name)
    assert line == '1970-01-01T00:00:01.000Z  contract: v is negative from ticks[3]@42 {"v": -1}  [0]@0'
    entry = json.loads(lines(name, "--json")[0])
    assert entry["headers"]["dlq_error"] == "v is negative"


def test_nothing_in_a_topic_reaches_the_terminal_as_a_command(
    lines: Callable[..., list[str]], kafka: str, topic: Topic
) -> None:
    name = topic()
    produce(kafka, name, (0, 1_000, {**TICK, "symbol": "[bold]\x1b]0;x\x07\n", "src_ts": "\x1b[2J", "kind": "\x1b[8m"}))
    (line,) = lines(name)
    assert line.startswith("\\x1b[2J  \\x1b[8m")
    assert "[bold]\\x1b]0;x\\x07\\n" in line


def test_an_empty_topic_is_an_empty_answer(lines: Callable[..., list[str]], topic: Topic) -> None:
    assert lines(topic(partitions=2)) == []


def test_following_goes_on_until_an_interrupt(
    start: Callable[..., subprocess.Popen[str]], config: Config, kafka: str, topic: Topic
) -> None:
    name = topic(partitions=2)
    produce(kafka, name, (0, 1_000, {**TICK, "seq": 1}))
    process = start("stream", "tail", "--topic", name, "--follow", "--json", "--config", config(brokers=kafka))
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["value"]["seq"] == 1
    produce(kafka, name, (1, 500, {**TICK, "seq": 2}))
    assert json.loads(process.stdout.readline())["value"]["seq"] == 2
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "")
