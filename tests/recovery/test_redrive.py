"""What the pipeline refused goes back to the events topic: mended, once, and as often as is allowed."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer

from contracts.record import MSGPACK, Headers
from features.bars.window_config import WindowConfig
from flows.config_file import load
from mdp.cli import main
from mdp.ops.dlq.records import Chosen
from mdp.ops.dlq.redrive import Order, RedriveError, Redriver, rehearsed
from tests.harness import Deployment, Deployments, assert_same, create_topic, records
from tests.oracle_windows import OracleBar
from transports.kafka.partitioner import murmur2

START = 1_761_314_400_000  # milliseconds; a whole window
WINDOW = WindowConfig(amend_ms=60_000)  # what is redriven is not yet late
PARTITIONS = 2
FIX = ".symbol //= .ticker | .v |= tonumber"
BIG = 2**53 + 1  # a number that no double holds

Run = Callable[..., Any]  # an object, or a list of them


def tick(number: int, **changes: Any) -> dict[str, Any]:
    """One each 100 ms, of four symbols; fields that are None are left out."""
    at = START + 100 * number
    event = {
        "ver": 1,
        "provider": "feed",
        "symbol": f"S{number % 4}",
        "kind": "tick",
        "src_ts": f"2025-10-24T14:00:{at // 1_000 % 60:02}.{at % 1_000:03}Z",
        "c": 100.0 + number % 7,
        "v": 1.0 + number % 3,
        "seq": BIG + number,
        "venue": "somewhere",
        **changes,
    }
    return {name: value for name, value in event.items() if value is not None}


def partition_of(symbol: str) -> int:
    """As Kafka's own producers place the key."""
    return (murmur2(symbol.encode()) & 0x7FFFFFFF) % PARTITIONS


def log() -> Iterator[tuple[dict[str, Any], bytes, str | None]]:
    """(what an event should have been, how it is written, as which content type): every fifth is broken."""
    for number in range(400):
        right = tick(number)
        if number % 10 == 3:
            yield right, json.dumps(tick(number, symbol=None, ticker=right["symbol"])).encode(), None
        elif number % 10 == 8:
            wrong = tick(number, v=str(right["v"]))
            yield (
                right,
                msgspec.msgpack.encode(wrong) if number % 20 == 8 else json.dumps(wrong).encode(),
                (MSGPACK if number % 20 == 8 else None),
            )
        else:
            yield right, json.dumps(right).encode(), None


@pytest.fixture(scope="module")
def refused(deploy: Deployments) -> Deployment:
    """A deployment that has run to the end of the log."""
    kafka = deploy.stack.kafka.bootstrap
    events = create_topic(kafka, "events", PARTITIONS, message_timestamp_type="CreateTime", retention_ms="-1")
    producer = Producer({"bootstrap.servers": kafka})
    for number, (right, value, content_type) in enumerate(log()):
        headers: Headers | None = None if content_type is None else [("content-type", content_type.encode())]
        # Without a symbol the producer has no key, and puts the record anywhere.
        key, partition = (None, 0) if b"ticker" in value else (right["symbol"].encode(), partition_of(right["symbol"]))
        producer.produce(events, value, key, partition, timestamp=START + 100 * number, headers=headers)
    producer.produce(events, b"\x1b[2J junk", None, 1, timestamp=START)
    assert producer.flush(60) == 0
    windows = [{"name": "vwap_2s", "horizon": "2s"}]
    deployment = deploy(
        events,
        partitions=PARTITIONS,
        name="refused",
        rules=[{"name": "never", "condition": "close < 0", "signal": 1.0, "score": 1.0}],
        features={"windows": windows},
        micro_batch=WINDOW.model_dump(),
    )
    deployment.run()
    return deployment


@pytest.fixture
def mdp(refused: Deployment, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `mdp dlq …` and reads its JSON."""
    monkeypatch.setenv("MDP_HOME", str(refused.home))
    monkeypatch.setenv("MDP_OVERRIDES", "[]")

    def run(*arguments: str, code: int = 0) -> Any:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["dlq", *arguments, "--json", "--config", str(refused.config)])
        out, err = capsys.readouterr()
        assert (ended.value.code or 0) == code, err
        lines = [json.loads(line) for line in out.splitlines()]
        return lines if arguments[0] == "inspect" else lines[0]

    return run


def expected_bars() -> list[tuple[Any, ...]]:
    bars: dict[tuple[str, int], OracleBar] = {}
    for number, (right, _, _) in enumerate(log()):
        at = (START + 100 * number) * 1_000_000
        window = at // WINDOW.window_ns * WINDOW.window_ns
        bar = bars.setdefault((right["symbol"], window), OracleBar("feed", right["symbol"], window))
        bar.events.append({**right, "src_ts": at, "offset": number, "row": 0, **dict.fromkeys("ohl")})
    names = ("symbol", "open", "high", "low", "close", "volume", "vwap", "trades")
    ordered = [bars[key] for key in sorted(bars)]
    return [tuple(bar.values(WINDOW)[name] for name in names) for bar in ordered]


def test_mended_events_make_the_bars_they_should_have_made(refused: Deployment, mdp: Run) -> None:
    rehearsed = mdp("redrive", "--fix", FIX, "--dry-run")
    assert (rehearsed["sent"], rehearsed["unfixable"], len(rehearsed["first"])) == (80, 1, 20)
    assert mdp("stats")["redriven"] == 0
    limited = mdp("redrive", "--fix", FIX, "--limit", "30", "--rate", "1000")
    assert limited["sent"] == 30
    rest = mdp("redrive", "--fix", FIX)
    assert (rest["sent"], rest["redriven"], rest["unfixable"]) == (50, 30, 1)
    assert "parse error" in rest["failure"] or "numeric literal" in rest["failure"]
    again = mdp("redrive", "--fix", FIX)
    assert (again["sent"], again["redriven"]) == (0, 80)
    refused.run()
    found = refused.query(
        "SELECT symbol, open, high, low, close, volume, vwap, trades FROM bars_ohlcv ORDER BY symbol, window_start"
    )
    assert found == expected_bars()
    assert mdp("stats", "--pending")["records"] == 1


def test_redriven_records_say_where_from_and_keep_what_the_fix_did_not_touch(refused: Deployment, mdp: Run) -> None:
    redriven = [one for one in records(refused.kafka, refused.events) if ("retry_count", b"1") in one.headers]
    origins = {f"{o['topic']}[{o['partition']}]@{o['offset']}" for o in (one["origin"] for one in mdp("inspect"))}
    assert len(redriven) == 80
    assert {one.header("redriven_from") for one in redriven} < origins
    for one in redriven:
        event = one.json
        assert (event["seq"] - BIG) % 5 == 3
        assert event["venue"] == "somewhere"
        assert one.partition == partition_of(event["symbol"])


def test_what_is_refused_again_counts_its_retries_up_to_the_cap(refused: Deployment, mdp: Run) -> None:
    for retries in range(2):
        assert mdp("redrive", "--contains", "junk", "--max-retries", "2")["sent"] == 1
        assert mdp("redrive", "--contains", "junk", "--max-retries", "2")["sent"] == 0
        refused.run()
        assert sorted(one["retries"] for one in mdp("inspect", "--contains", "junk")) == list(range(retries + 2))
    last = mdp("redrive", "--contains", "junk", "--max-retries", "2")
    assert (last["sent"], last["exhausted"], last["redriven"]) == (0, 1, 2)


def test_running_the_whole_log_again_changes_nothing(refused: Deployment) -> None:
    versions, output = refused.row_versions(), refused.output()
    refused.run(f"recovery.directory={refused.folder / 'another'}")
    assert_same(refused.row_versions(), versions)
    assert_same(refused.output(), output)


def test_a_redrive_that_was_killed_has_sent_nothing_and_a_second_one_fences_the_first(
    refused: Deployment, mdp: Run
) -> None:
    config = load(refused.config, []).bus.kafka
    killed = Redriver(config)
    producer = killed._transactions._producer
    producer.begin_transaction()  # as a process does that dies before it commits
    producer.produce(refused.events, b"half done", None, 0)
    producer.flush(30)
    marks = mdp("stats")["redriven"]
    assert mdp("redrive", "--contains", "nowhere")["sent"] == 0
    assert b"half done" not in {record.value for record in records(refused.kafka, refused.events)}
    _, junk = rehearsed(config, Order(Chosen(contains="junk"), max_retries=10))
    first, _ = Redriver(config), Redriver(config)
    with pytest.raises(RedriveError, match="another redrive of this DLQ has begun"):
        first.send(junk)
    assert mdp("stats")["redriven"] == marks


def test_a_fix_that_cannot_be_used_ends_in_one_line(
    refused: Deployment, capsys: pytest.CaptureFixture[str], mdp: Run
) -> None:
    for option, value, words in (
        ("--fix", ".c |", "--fix is not a valid jq program"),
        ("--fix-with", "nowhere", "no such fix is installed"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["dlq", "redrive", option, value, "--config", str(refused.config)])
        err = capsys.readouterr().err
        assert (ended.value.code, err.count("\n")) == (2, 1)
        assert words in err


def test_an_event_that_is_too_large_is_left_and_holds_up_no_other(deploy: Deployments) -> None:
    events = create_topic(deploy.stack.kafka.bootstrap, "events", 1, max_message_bytes="2000")
    flow = deploy(events, partitions=1, name="large")
    producer = Producer({"bootstrap.servers": flow.kafka})
    for number in range(5):
        producer.produce(flow.events, json.dumps({"number": number}), partition=0)
    assert producer.flush(30) == 0
    flow.run()
    fix = "if .number == 2 then .note = [range(5000)] else . end"
    code, said = flow.mdp("dlq", "redrive", "--fix", fix, "--json")
    assert code == 0, said
    account = json.loads(said)
    assert (code, account["sent"], account["too_large"]) == (0, 4, 1), said
    assert account["failure"].endswith("bytes are more than the events topic accepts")
