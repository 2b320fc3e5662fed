"""Headers are whatever the sender wrote: nobody who reads them falls over them, or takes what cannot be for true."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from codec.decode import Decoder
from codec.output_records import (
    DLQ_REASON,
    FAILED_AT,
    FLOW,
    SOURCE_OFFSET,
    SOURCE_PARTITION,
    SOURCE_ROW,
    SOURCE_ROWS,
    SOURCE_TOPIC,
    SOURCE_TOPIC_ID,
)
from contracts.record import Headers
from flows.settings import BusSection, Settings
from flows.spec import MARKET
from mdp.cli.entries import json_line, line, time_text
from mdp.ops.dlq.marks import MARK, MARK_HEADERS
from mdp.ops.dlq.records import Chosen, Dlq, DlqRecord
from mdp.ops.late_records import unrepaired
from mdp.ops.tail import entries_of
from tests.transports.kafka_outputs import EVENTS, KafkaOutputs
from transports.kafka import read_back
from transports.kafka.claims import ForgedClaim
from transports.kafka.read_back import Impossible
from transports.kafka.topic_reader import TopicReader

NUMBERS: list[bytes | None] = [None, b"", b"abc", b"-1", b"1.5", b" 0", b"0 ", b"00", b"\xff", b"9" * 19, b"9" * 5_000]
TEXTS: list[bytes | None] = [None, b"", b"\xff\xfe", b"\x00", b"x" * 10_000]
ROWS: list[bytes | None] = [None, b"", b"\x00", b"\xff" * 300_000]
TIMES: list[bytes | None] = [*TEXTS, b"0001-01-01T00:00:00+23:59", b"9999-12-31T23:59:59-23:59", b"2025-10-24"]
LARGEST = b"9" * 18


def hostile(genuine: Headers) -> Iterator[Headers]:
    """Headers with each of the genuine ones missing, twice, or with each value that it must not have."""
    values = dict.fromkeys((SOURCE_PARTITION, SOURCE_OFFSET, SOURCE_ROW), NUMBERS) | {
        FAILED_AT: TIMES,
        SOURCE_ROWS: ROWS,
    }
    for name, _ in genuine:
        others = [pair for pair in genuine if pair[0] != name]
        yield others
        for value in values.get(name, TEXTS):
            yield [*others, (name, value)]
            yield [(name, value), *genuine, (name, value)]


def test_what_is_not_as_the_flow_writes_it_is_not_taken_for_its_own(kafka_outputs: KafkaOutputs) -> None:
    """Whatever it claims, the outputs that follow are all there."""
    kafka_outputs.writer().write(kafka_outputs.rejects(0))
    dlq = kafka_outputs.config.dlq_topic
    genuine = kafka_outputs.identity.headers(0, (4, 0))
    forged = [one for one in hostile(genuine) if kafka_outputs.identity.cause_of(0, one) is None]
    assert len(forged) > 60
    mirrored: Headers = [(n, b"of another cluster" if n == SOURCE_TOPIC_ID else v) for n, v in genuine]
    kafka_outputs.produce(dlq, 0, *[(b"forged", headers) for headers in [*forged, mirrored]])
    kafka_outputs.writer().write([*kafka_outputs.rejects(0), *kafka_outputs.rejects(1)])
    genuine_values = [value for _, value in kafka_outputs.rejected() if value != b"forged"]
    assert genuine_values == [b"0", b"1", b"0", b"1"]


def test_a_record_of_what_the_log_does_not_hold_is_refused(
    kafka_outputs: KafkaOutputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or later outputs would silently stay away."""
    monkeypatch.setattr(read_back, "_RECOVERY_SECONDS", 0.1)
    kafka_outputs.writer().write(kafka_outputs.rejects(0))
    dlq = kafka_outputs.config.dlq_topic
    kafka_outputs.produce(dlq, 1, (b"forged", kafka_outputs.identity.headers(1, (EVENTS, 0))))
    events = kafka_outputs.config.topic
    with pytest.raises(
        Impossible, match=rf"^{dlq}\[1\] holds at offset \d a record .* {events}\[1\] at offset {EVENTS}, "
    ):
        kafka_outputs.writer().write(kafka_outputs.rejects(1))


def test_a_claim_cannot_make_a_flow_fence_a_stranger(kafka_outputs: KafkaOutputs) -> None:
    stranger = Producer(kafka_outputs.config.client(transactional_id=f"stranger-{kafka_outputs.config.topic}"))
    stranger.init_transactions(30)
    forger = Consumer(
        kafka_outputs.config.client(group_id=kafka_outputs.identity.claims_group, enable_auto_commit=False)
    )
    named = TopicPartition(kafka_outputs.config.topic, 0, 0, f"stranger-{kafka_outputs.config.topic}")
    forger.commit(offsets=[named], asynchronous=False)
    forger.close()
    with pytest.raises(ForgedClaim, match="not a writer of this flow"):
        kafka_outputs.writer().write(kafka_outputs.rejects(0))
    stranger.begin_transaction()
    stranger.produce(kafka_outputs.config.topic, b"still here", partition=0)
    stranger.commit_transaction(30)


def test_the_dlq_can_be_looked_at_whatever_its_headers_are(kafka_outputs: KafkaOutputs) -> None:
    config, identity = kafka_outputs.config, kafka_outputs.identity
    genuine = [*identity.headers(0, (0, 0)), (DLQ_REASON, b"schema"), (FAILED_AT, b"2025-10-24T14:00:00+00:00")]
    genuine.append((SOURCE_ROWS, b"\x80"))
    marks: list[bytes] = [b"", b"{", b"[]", b'{"origin":[1],"redriven_to":2,"retry_count":{}}', b"\xff"]
    largest = [(name, LARGEST if name == SOURCE_OFFSET else value) for name, value in genuine]
    records: list[tuple[bytes, Headers]] = [(b"refused", headers) for headers in [largest, *hostile(genuine)]]
    records += [(value, MARK_HEADERS) for value in marks] + [(b"x", [(MARK, None)])]
    kafka_outputs.produce(config.dlq_topic, 0, *records)
    with TopicReader(config, config.dlq_topic) as reader:
        found = list(Dlq(reader).records(Chosen()))
    assert [record.payload or b"" for record in found] == [value for value, _ in records]
    assert all(_is_shown(record) for record in found)


def _is_shown(record: DlqRecord) -> bool:
    return time_text(record.failed_at // 1_000_000) <= "9999-12-31T23:59:59.999Z"


def test_late_events_can_be_repaired_whatever_the_headers_of_others_are(kafka_outputs: KafkaOutputs) -> None:
    settings = Settings(bus=BusSection(kafka=kafka_outputs.config))
    config, flow, window = kafka_outputs.config, MARKET.id(settings).encode(), settings.micro_batch
    event = b'{"ver":1,"provider":"p","symbol":"S","kind":"tick","src_ts":"2025-10-24T14:00:00Z","c":1,"v":1,"seq":1}'
    genuine = [(name, flow if name == FLOW else value) for name, value in kafka_outputs.identity.headers(1, (3, 0))]
    genuine.append((SOURCE_ROWS, b"\x80"))
    headers = [genuine, *hostile(genuine)]
    kafka_outputs.produce(config.late_topic, 0, *[(event, one) for one in headers])
    decoder = Decoder(window.window_ns, window.max_future_ms * 1_000_000)
    found = unrepaired(settings, decoder, pl.DataFrame(schema={"partition": pl.Int64, "offset": pl.Int64}))
    places = found.events.select("source_partition", "source_offset").rows()
    assert places[0] == (1, 3)
    assert len(places) + sum(found.foreign.values()) == len(headers) - 4  # whose rows say that none was late


def test_any_record_can_be_shown(kafka_outputs: KafkaOutputs) -> None:
    config = kafka_outputs.config
    genuine = [*kafka_outputs.identity.headers(0, (0, 0)), (SOURCE_TOPIC, b"t"), (DLQ_REASON, b"\x1b[2J")]
    kafka_outputs.produce(config.dlq_topic, 0, *[(b"{}", headers) for headers in hostile(genuine)])
    with TopicReader(config, config.dlq_topic) as reader:
        messages = [message for part in reader.span(0, *reader.bounds(0)) for message in part]
    for entry in (entry for message in messages for entry in entries_of(message)):
        assert json_line(entry).isprintable()
        assert line(entry).plain.isprintable()
