import io
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from codec.encode import CONTENT_TYPES, Encoding, encode
from codec.output_headers import Sender
from connectors.synthetic.market import SyntheticConfig, SyntheticMarket
from contracts.headers import decode_headers
from contracts.timestamps import format_timestamps
from tests.harness import headers_of, partition_of
from transports.kafka.producer import ProduceError, produce
from transports.outgoing import UNCHECKED, Sent, outgoing

START = 1_761_314_521_234_567_000  # 2025-10-24T14:02:01.234567Z
Topic = Callable[..., str]


def consumed(kafka: str, topic: str, partitions: int = 4) -> dict[int, list[Message]]:
    """Everything that is in the topic, by partition."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": uuid.uuid4().hex, "enable.auto.commit": False})
    ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in range(partitions)}
    consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
    found: dict[int, list[Message]] = {partition: [] for partition in ends}
    missing = sum(ends.values())
    while missing:
        messages = consumer.consume(min(missing, 10_000), timeout=10)
        assert messages, "the topic holds fewer records than its end offsets say"
        for message in messages:
            found[partition_of(message)].append(message)
        missing -= len(messages)
    consumer.close()
    return found


def market(count: int, **settings: Any) -> list[pl.DataFrame]:
    return list(SyntheticMarket(SyntheticConfig(**settings), START).chunks(count))


def ids_by_symbol(frame: pl.DataFrame) -> dict[str, list[str]]:
    grouped = frame.group_by("symbol", maintain_order=True).agg("event_id")
    return dict(zip(grouped["symbol"].to_list(), grouped["event_id"].to_list(), strict=True))


def test_every_json_record_is_acknowledged_keyed_and_in_order(kafka: str, topic: Topic) -> None:
    chunks = market(60_000, symbols=30, duplicates=0.05, out_of_order=0.05, malformed=0.02)
    name = topic(partitions=4)
    sent = produce(chunks, {"bootstrap.servers": kafka}, name)
    records = consumed(kafka, name)
    assert sent == sum((Sent.of(chunk) for chunk in chunks), Sent())
    assert sum(map(len, records.values())) == sent.total
    expected = pl.concat(chunks)
    values: dict[str, tuple[bytes | None, ...]] = dict.fromkeys(expected["symbol"].unique(), ())
    for partition in records.values():
        for message in partition:
            values[key_of(message)] += (message.value(),)
        assert {message.headers() for message in partition} == {None}
    for (symbol,), rows in expected.group_by("symbol"):
        raw = rows["raw"].to_list()
        encoded = iter(encode(rows.filter(pl.col("raw").is_null()), "json"))
        assert list(values[str(symbol)]) == [next(encoded) if value is None else value for value in raw]


@pytest.mark.parametrize("encoding", ["json", "msgpack", "arrow"])
def test_a_symbol_lives_on_the_partition_that_kafkas_own_partitioner_gives_it(
    kafka: str, topic: Topic, encoding: Encoding
) -> None:
    ours, theirs = topic(partitions=4), topic(partitions=4)
    produce(market(500, symbols=100), {"bootstrap.servers": kafka}, ours, encoding)
    reference = Producer({"bootstrap.servers": kafka, "partitioner": "murmur2_random"})
    for symbol in SyntheticConfig(symbols=100).names():
        reference.produce(theirs, key=symbol)
    assert reference.flush(30) == 0
    expected = {p: {key_of(message) for message in ms} for p, ms in consumed(kafka, theirs).items()}
    assert {p: symbols_in(messages, encoding) for p, messages in consumed(kafka, ours).items()} == expected


def key_of(message: Message) -> str:
    key = message.key()
    assert key is not None
    return key.decode()


def symbols_in(messages: list[Message], encoding: Encoding) -> set[str]:
    if encoding != "arrow":
        return {key_of(message) for message in messages}
    return {symbol for message in messages for symbol in arrow(message)["symbol"].to_pylist()}


def arrow(message: Message) -> pa.Table:
    return pa.ipc.open_stream(io.BytesIO(message.value() or b"")).read_all()


def test_msgpack_records_say_what_they_are_and_broken_ones_do_not(kafka: str, topic: Topic) -> None:
    name = topic(partitions=4)
    sent = produce(market(200, malformed=0.5), {"bootstrap.servers": kafka}, name, "msgpack")
    records = [message for messages in consumed(kafka, name).values() for message in messages]
    typed = [message for message in records if message.headers() == [("content-type", b"application/msgpack")]]
    assert len(records) == sent.total
    assert len(typed) == sent.good == 200
    assert {msgspec.msgpack.decode(message.value() or b"")["provider"] for message in typed} == {"synthetic"}


def test_arrow_records_carry_a_partitions_events_in_order(kafka: str, topic: Topic) -> None:
    name = topic(partitions=4)
    chunks = market(20_000, symbols=20, out_of_order=0.1, malformed=0.001)
    sent = produce(chunks, {"bootstrap.servers": kafka}, name, "arrow")
    streams = [m for ms in consumed(kafka, name).values() for m in ms if m.headers() is not None]
    assert {headers_of(message)[0] for message in streams} == {("content-type", b"application/vnd.apache.arrow.stream")}
    tables = [arrow(message) for message in streams]
    assert max(table.num_rows for table in tables) == 1_000
    assert sum(table.num_rows for table in tables) == sent.good
    events = pl.concat(chunks).filter(pl.col("raw").is_null())
    seen = pl.concat([pl.DataFrame(pl.from_arrow(table.select(["symbol", "event_id"]))) for table in tables])
    assert ids_by_symbol(seen) == ids_by_symbol(events)


@pytest.mark.parametrize("encoding", ["json", "msgpack", "arrow"])
def test_with_a_sender_each_record_of_events_has_the_headers_of_a_message(
    kafka: str, topic: Topic, encoding: Encoding
) -> None:
    """Those of an event that is sent twice are the same but for when and by whom."""
    name = topic(partitions=4)
    chunks = market(2_500, symbols=20, malformed=0.01)
    for run in ("first", "second"):
        produce(chunks, {"bootstrap.servers": kafka}, name, encoding, sender=Sender("producer@here", run))
    records = [message for messages in consumed(kafka, name).values() for message in messages]
    messages = [(message, decode_headers(message.headers())) for message in records if message.headers()]
    assert len(messages) < len(records)  # what is broken goes out as it is
    ids = Counter(headers.message_id for _, headers in messages)
    assert set(ids.values()) == {2}
    assert {headers.run_id for _, headers in messages} == {"first", "second"}
    for message, headers in messages:
        assert headers.content_type == CONTENT_TYPES[encoding]
        assert (headers.schema_fqdn, headers.source) == ("utp.events.v1", "synthetic")
        assert headers_of(message)[0] == ("content-type", headers.content_type.encode())
        if encoding != "arrow":
            event = (msgspec.json if encoding == "json" else msgspec.msgpack).decode(message.value())
            assert (headers.partition_key, headers.dedupe_key) == (event["symbol"], event["event_id"])


def test_raw_lines_go_out_as_they_are_whatever_the_encoding(kafka: str, topic: Topic) -> None:
    lines = [b' {"symbol":"SPY"}', b"junk", b""]
    rows = pl.DataFrame({"raw": lines, "symbol": ["SPY", None, None]}, schema_overrides={"symbol": pl.String})
    name = topic(partitions=4)
    sent = produce([outgoing(rows, UNCHECKED)], {"bootstrap.servers": kafka}, name, "arrow")
    records = [message for messages in consumed(kafka, name).values() for message in messages]
    assert {message.value() for message in records} == set(lines)
    assert {message.headers() for message in records} == {None}
    assert sent == Sent({"unchecked": 3})


def test_a_small_queue_slows_the_producer_down_and_loses_nothing(kafka: str, topic: Topic) -> None:
    name = topic(partitions=4)
    config = {"bootstrap.servers": kafka, "queue.buffering.max.messages": 50}
    sent = produce(market(3_000, symbols=20), config, name)
    assert sum(map(len, consumed(kafka, name).values())) == sent.total == 3_000


def test_progress_is_told_after_every_chunk(kafka: str, topic: Topic) -> None:
    seen: list[Sent] = []
    chunks = [chunk.slice(start, 100) for chunk in market(300) for start in (0, 100, 200)]
    sent = produce(chunks, {"bootstrap.servers": kafka}, topic(partitions=1), on_progress=seen.append)
    assert [progress.total for progress in seen] == [100, 200, 300]
    assert seen[-1] == sent


def test_events_carry_the_time_they_happened_not_the_record(kafka: str, topic: Topic) -> None:
    name = topic(partitions=1)
    (chunk,) = market(1)
    produce([chunk], {"bootstrap.servers": kafka}, name)
    (message,) = consumed(kafka, name, partitions=1)[0]
    assert msgspec.json.decode(message.value() or b"")["src_ts"] == format_timestamps(chunk["src_ts"]).item()
    assert message.timestamp()[1] > START // 1_000_000


def test_records_that_kafka_refuses_are_an_error_of_one_line(kafka: str) -> None:
    name = f"small-{uuid.uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([NewTopic(name, 1, 1, config={"max.message.bytes": "200"})])[name].result(30)
    with pytest.raises(ProduceError, match=rf"not acknowledge at least \d+ records of topic {name}") as raised:
        produce(market(100), {"bootstrap.servers": kafka, "compression.type": "none"}, name)
    assert "\n" not in str(raised.value)


def test_a_record_too_large_for_the_client_is_an_error_of_one_line(kafka: str, topic: Topic) -> None:
    rows = outgoing(pl.DataFrame({"raw": [b"x" * 2_000_000], "symbol": ["SPY"]}), UNCHECKED)
    with pytest.raises(ProduceError, match="cannot send a record of 2000000 bytes"):
        produce([rows], {"bootstrap.servers": kafka}, topic(partitions=1))


def test_a_topic_that_does_not_exist_is_named(kafka: str) -> None:
    with pytest.raises(ProduceError, match=r"cannot write to topic no-such-topic: .+; create it first"):
        produce([], {"bootstrap.servers": kafka}, "no-such-topic")


def test_what_was_sent_before_a_source_failed_is_delivered(kafka: str, topic: Topic) -> None:
    name = topic(partitions=1)

    def failing() -> Iterator[pl.DataFrame]:
        yield from market(10)
        raise ValueError("row 11 is broken")

    with pytest.raises(ValueError, match="row 11 is broken"):
        produce(failing(), {"bootstrap.servers": kafka}, name)
    assert len(consumed(kafka, name, partitions=1)[0]) == 10
