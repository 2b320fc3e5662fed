import io
import json
import uuid
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from codec.encode import encode
from contracts.record import ARROW, Headers
from tests.cli.cli_result import Config, Mdp, Topic
from tests.harness import headers_of

MINUTE = 60_000_000_000
T0 = 1_761_314_520_000_000_000  # 2025-10-24T14:02:00Z
TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SPAN = ("--from", "2025-10-24T14:03:00Z", "--to", "2025-10-24T14:05:00Z")


def tick(minute: int, symbol: str = "SPY", **more: object) -> bytes:
    time = f"2025-10-24T14:{2 + minute:02}:00Z"
    event = {"ver": 1, "provider": "p", "symbol": symbol, "kind": "tick", "src_ts": time, "c": 1.5, "v": 2, **more}
    return json.dumps(event).encode()


def arrow(*minutes: int) -> bytes:
    event = {"provider": "p", "symbol": "SPY", "kind": "tick", "c": 1.0, "v": 1.0}
    (payload,) = encode(pl.DataFrame([{**event, "src_ts": T0 + minute * MINUTE} for minute in minutes]), "arrow")
    return payload


def by_polars(*minutes: int) -> bytes:
    """As Polars writes it by default: texts as views, categories by their places."""
    event = {"provider": "p", "symbol": "SPY", "kind": "tick", "c": 1.0, "v": 1.0}
    times = pl.Series([T0 + minute * MINUTE for minute in minutes]).cast(pl.Datetime("ns", "UTC"))
    sink = io.BytesIO()
    events = pl.DataFrame([event] * len(minutes)).with_columns(pl.col("symbol").cast(pl.Categorical), src_ts=times)
    events.write_ipc_stream(sink)
    return sink.getvalue()


def contents(kafka: str, topic: str, partition: int) -> list[Message]:
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": uuid.uuid4().hex})
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
    consumer.assign([TopicPartition(topic, partition, 0)])
    found: list[Message] = []
    while len(found) < end:
        found += consumer.consume(end - len(found), timeout=10)
    consumer.close()
    return found


def facts(messages: list[Message]) -> list[tuple[object, ...]]:
    return [(message.value(), message.key(), message.headers()) for message in messages]


def send(kafka: str, topic: str, *records: tuple[int, bytes | None, Headers | None]) -> None:
    producer = Producer({"bootstrap.servers": kafka})
    for number, (partition, value, headers) in enumerate(records):
        producer.produce(topic, value, b"k%d" % number, partition, headers=headers)
    assert producer.flush(30) == 0


def test_events_of_the_range_keep_bytes_headers_partition_and_order(
    mdp: Mdp, config: Config, kafka: str, topic: Topic
) -> None:
    source, target = topic(partitions=2), topic(partitions=2)
    heartbeat = b'{"ver": 1, "kind": "heartbeat", "provider": "p", "src_ts": "2025-10-24T14:04:00Z"}'
    traced: Headers = [("trace", b"7"), ("trace", b"8"), ("traceparent", TRACE)]
    records = [
        (0, tick(0), None),
        (0, tick(2, seq=2), traced),
        (0, tick(1, seq=1), None),
        (1, tick(2, "AAPL"), None),
        (0, b"junk", None),
        (0, tick(2, v=-1), None),
        (0, None, None),
        (0, heartbeat, None),
        (1, tick(3, "AAPL"), None),
        (0, tick(2, seq=2), None),
    ]
    send(kafka, source, *records)
    path = config(brokers=kafka, topic=source, replay_topic=target)
    result = mdp("stream", "replay", *SPAN, "--json", "--config", path)
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out) == {
        "topic": target,
        "records": 5,
        "events": 4,
        "heartbeats": 1,
        "outside": 2,
        "unreadable": 3,
    }
    first, second = facts(contents(kafka, source, 0)), facts(contents(kafka, source, 1))
    assert facts(contents(kafka, target, 0)) == [first[place] for place in (1, 2, 6, 7)]
    assert facts(contents(kafka, target, 1)) == second[:1]


@pytest.mark.parametrize("arrow", [arrow, by_polars])
def test_of_an_arrow_batch_go_those_rows_that_are_in_the_range(
    mdp: Mdp, config: Config, kafka: str, topic: Topic, arrow: Callable[..., bytes]
) -> None:
    source, target = topic(), topic()
    own_id = b"019a1686-c390-708e-b055-916ffe0f63cd"
    headers: Headers = [("content-type", ARROW.encode()), ("traceparent", TRACE), ("message_id", own_id)]
    send(kafka, source, *((0, arrow(*minutes), headers) for minutes in [(1, 2), (0, 1, 2, 3), (3, 4)]))
    path = config(brokers=kafka, topic=source)
    result = mdp("stream", "replay", *SPAN, "--to-topic", target, "--json", "--config", path)
    counts = json.loads(result.out)
    assert (counts["records"], counts["events"], counts["outside"]) == (2, 4, 4)
    whole, part = contents(kafka, target, 0)
    assert (whole.value(), whole.headers()) == (arrow(1, 2), headers)
    times = pl.read_ipc_stream(io.BytesIO(part.value() or b""))["src_ts"]
    assert times.cast(pl.Int64).to_list() == [T0 + MINUTE, T0 + 2 * MINUTE]
    found = dict(headers_of(part))  # another message of the same time, in the same trace
    assert (found["content-type"], found["traceparent"]) == (ARROW.encode(), TRACE)
    part_id = found["message_id"] or b""
    assert part_id[:13] == own_id[:13]
    assert part_id != own_id


def test_a_long_log_is_replayed_whole(mdp: Mdp, config: Config, kafka: str, topic: Topic) -> None:
    source, target = topic(partitions=2), topic(partitions=2)
    path = config(brokers=kafka, topic=source, replay_topic=target)
    count = ("--count", "30000", "--duplicates", "0.02", "--malformed", "0.01", "--json", "--config", path)
    sent = json.loads(mdp("stream", "produce", "--provider", "synthetic", *count).out)
    result = mdp("stream", "replay", "--from", "2020-01-01", "--to", "2030-01-01", "--json", "--config", path)
    done = json.loads(result.out)
    assert (done["events"], done["unreadable"]) == (sent["good"] + sent["duplicates"], sent["malformed"])


@pytest.mark.parametrize("ending", ["ndjson", "csv"])
def test_a_file_gives_its_events_of_the_range(
    mdp: Mdp, config: Config, kafka: str, topic: Topic, tmp_path: Path, ending: str
) -> None:
    file, target = tmp_path / f"ticks.{ending}", topic(partitions=3)
    lines = [tick(minute).decode() for minute in range(5)]
    if ending == "ndjson":
        file.write_text("\n".join([*lines, "junk"]))
    else:
        pl.DataFrame([json.loads(line) for line in lines]).write_csv(file)
    options = ("--from-file", file, "--to-topic", target, "--json", "--config", config(brokers=kafka))
    done = json.loads(mdp("stream", "replay", *SPAN, *options).out)
    assert done == {
        "topic": target,
        "records": 2,
        "events": 2,
        "heartbeats": 0,
        "outside": 3,
        "unreadable": 1 if ending == "ndjson" else 0,
    }
    found = [
        json.loads(message.value() or b"") for partition in range(3) for message in contents(kafka, target, partition)
    ]
    assert [event["src_ts"][14:19] for event in found] == ["03:00", "04:00"]


def test_a_topic_of_another_width_or_the_same_topic_is_refused(
    mdp: Mdp, config: Config, kafka: str, topic: Topic
) -> None:
    source, narrow = topic(partitions=2), topic()
    path = config(brokers=kafka, topic=source)
    for target, words in ((narrow, "has 1 partitions and"), (source, "name another one with --to-topic")):
        result = mdp("stream", "replay", *SPAN, "--to-topic", target, "--config", path)
        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
        assert words in result.err


def test_the_command_posts_what_a_file_asks_for(
    mdp: Mdp, config: Config, kafka: str, topic: Topic, tmp_path: Path
) -> None:
    window = {"start": "2025-10-24T14:03:00Z", "end": "2025-10-24T14:05:00Z"}
    file, control = tmp_path / "gap.json", topic(1)
    path = config(brokers=kafka, control_topic=control)
    file.write_text(json.dumps({"domain": "events", "reason": "a gap", "request_id": "gap-17", **window}))
    result = mdp("stream", "replay", "--request", file, "--json", "--config", path)
    assert (result.code, json.loads(result.out)) == (0, {"topic": control, "request_id": "gap-17"})
    file.write_text(json.dumps({"domain": "events", "reason": "a gap", "start": window["start"]}))
    for options, words in (
        (("--request", file), "start and end go together"),
        (("--request", file, "--from", "today"), "the request says what to send"),
        (("--from", "today"), "say --from and --to, or --request"),
    ):
        wrong = mdp("stream", "replay", *options, "--config", path)
        assert (wrong.code, wrong.err.count("\n")) == (2, 1)
        assert words in wrong.err
