import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka import Producer

from contracts.record import Headers
from tests.cli.cli_result import Config, Mdp, Topic

T0 = datetime(2025, 10, 24, 14, 0, tzinfo=UTC)
EVENT = b'{"ver": 1, "symbol": "SPY", "v": -1}'


def refused(number: int, *, reason: str = "contract", error: str = "v is negative", topic: str = "ticks") -> Headers:
    """The headers of what was refused in the `number`-th minute."""
    headers = {
        "source_topic": topic,
        "source_partition": "3",
        "source_offset": str(number),
        "source_row": "0",
        "dlq_reason": reason,
        "dlq_error": error,
        "failed_at": (T0 + timedelta(minutes=number)).isoformat(),
        "content-type": "application/json",
    }
    return [(name, text.encode()) for name, text in headers.items()]


@pytest.fixture
def dlq(kafka: str, topic: Topic) -> str:
    """A DLQ of two partitions with six records."""
    name = topic(partitions=2)
    producer = Producer({"bootstrap.servers": kafka})
    values = [EVENT, EVENT.replace(b"SPY", b"AAPL"), b"\x1b[2J\xff", None, b"[bold]", b"not ours"]
    reasons = [
        *({"error": "v is negative"}, {"error": "v is negative"}),
        {"reason": "undecodable", "error": "JSON is malformed: invalid character (byte 0)"},
        {"reason": "undecodable", "error": "JSON is malformed: invalid character (byte 7)"},
        {"reason": "future", "error": "\x1b]0;x\x07"},
    ]
    for number, value in enumerate(values):
        headers = refused(number, **reasons[number]) if number < len(reasons) else None
        producer.produce(name, value, b"SPY", number % 2, headers=headers)
    assert producer.flush(30) == 0
    return name


@pytest.fixture
def run(mdp: Mdp, config: Config, kafka: str, dlq: str) -> Callable[..., str]:
    """What a command about the DLQ says."""

    def command(*arguments: str | Path) -> str:
        result = mdp("dlq", *arguments, "--config", config(brokers=kafka, dlq_topic=dlq))
        assert (result.code, result.err) == (0, "")
        return result.out

    return command


def test_inspect_tells_why_where_from_and_what(run: Callable[..., str]) -> None:
    found = [json.loads(line) for line in run("inspect", "--json").splitlines()]
    assert len(found) == 6
    first = found[0]
    age = first.pop("age_s")
    assert (datetime.now(UTC) - T0).total_seconds() == pytest.approx(age, abs=60)
    assert first == {
        "partition": 0,
        "offset": 0,
        "reason": "contract",
        "error": "v is negative",
        "origin": {"topic": "ticks", "partition": 3, "offset": 0, "row": 0},
        "failed_at": "2025-10-24T14:00:00.000Z",
        "retries": 0,
        "redriven": False,
        "stub": None,
        "content_type": "application/json",
        "key": "SPY",
        "payload": EVENT.decode(),
    }
    assert base64.b64decode(found[1]["payload_base64"]) == b"\x1b[2J\xff"
    (foreign,) = (one for one in found if one["reason"] == "unknown")
    assert (foreign["origin"], foreign["payload"]) == (None, "not ours")


@pytest.mark.parametrize(
    ("options", "offsets"),
    [
        (("--reason", "contract"), [(0, 0), (1, 0)]),
        (("--contains", "AAPL"), [(1, 0)]),
        (("--contains", "malformed"), [(0, 1), (1, 1)]),
        (("--from", "2025-10-24T14:01:00Z", "--to", "2025-10-24T14:03:00Z"), [(0, 1), (1, 0)]),
        (("--partition", "1", "--offset", "1"), [(1, 1)]),
        (("--partition", "1", "--limit", "1"), [(1, 2)]),
        (("--contains", "nowhere"), []),
    ],
)
def test_filters_choose_records(run: Callable[..., str], options: list[str], offsets: list[tuple[int, int]]) -> None:
    lines = run("inspect", "--json", *options).splitlines()
    assert [(one["partition"], one["offset"]) for one in map(json.loads, lines)] == offsets


def test_the_table_lets_no_escape_through_and_reads_no_markup(run: Callable[..., str]) -> None:
    out = run("inspect")
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "\\x1b[2J\\xff" in out
    assert "[bold]" in out
    assert "ticks[3]@0" in out


def test_a_table_of_the_last_says_that_there_are_more(mdp: Mdp, config: Config, kafka: str, dlq: str) -> None:
    result = mdp("dlq", "inspect", "--limit", "2", "--config", config(brokers=kafka, dlq_topic=dlq))
    assert "not ours" in result.out
    assert EVENT.decode() not in result.out
    assert "these are the last 2" in result.err


def test_stats_count_by_reason_and_error_wherever_in_the_payload_it_was(run: Callable[..., str]) -> None:
    found = json.loads(run("stats", "--json"))
    assert (found["records"], found["redriven"]) == (6, 0)
    counts = {(one["reason"], one["error"]): one["records"] for one in found["errors"]}
    assert counts[("contract", "v is negative")] == 2
    assert counts[("undecodable", "JSON is malformed: invalid character")] == 2
    assert (found["errors"][0]["oldest"], found["errors"][0]["newest"]) == (
        "2025-10-24T14:00:00.000Z",
        "2025-10-24T14:01:00.000Z",
    )
    assert "6 records, 0 of them redriven" in run("stats")
