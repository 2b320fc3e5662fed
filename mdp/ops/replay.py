"""Copies a time range of events into another topic: from the events topic byte for byte, or from a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import polars as pl

from codec.market_batch import MarketDecoder
from contracts.batch import MicroBatch
from contracts.errors import MdpError
from contracts.record import Fetch, Record, Records
from mdp.ops.file_events import EventFiles
from mdp.ops.file_records import as_fetch
from mdp.ops.record_parts import chosen_parts
from mdp.ops.span import Span
from transports.kafka.config import KafkaConfig
from transports.kafka.producer import produce
from transports.kafka.raw_producer import RawProducer
from transports.kafka.topic_reader import Message, TopicReader
from transports.kafka.topics import partitions_of


class ReplayError(MdpError):
    """The range cannot be replayed; one line says what to do."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The account of a replay.

    Attributes:
        records: records sent.
        events: events sent in them, without heartbeats.
        heartbeats: heartbeats sent: they close the same windows again.
        outside: events read that are outside of the range.
        unreadable: rows that the pipeline would reject, so that they have no valid time.
    """

    records: int = 0
    events: int = 0
    heartbeats: int = 0
    outside: int = 0
    unreadable: int = 0

    def __add__(self, other: Replayed) -> Replayed:
        return Replayed(
            self.records + other.records,
            self.events + other.events,
            self.heartbeats + other.heartbeats,
            self.outside + other.outside,
            self.unreadable + other.unreadable,
        )


Progress = Callable[[Replayed], None]


def replay_topic(
    config: KafkaConfig, decoder: MarketDecoder, span: Span, target: str, *, on_progress: Progress
) -> Replayed:
    """Send the events of the range again, unchanged, to the same partitions, in the same order.

    A record of many events is sent unchanged if all are in the range, else reduced to those that are. Partitions are
    replayed one after the other; memory does not depend on the range.

    Raises:
        ReplayError, SourceError, ProduceError: a topic is missing or incompatible, or Kafka does not answer.
    """
    if target == config.topic:
        raise ReplayError(f"{target} is the topic to read from: name another one with --to-topic")
    total = Replayed()
    with TopicReader(config, config.topic) as reader:
        _check_partitions(config, reader, target)
        with RawProducer(config, target) as producer:
            for messages in _candidates(reader, span.start - decoder.max_future_ns):
                total += _send_inside(messages, decoder, span, producer)
                on_progress(total)
    return total


def _check_partitions(config: KafkaConfig, reader: TopicReader, target: str) -> None:
    theirs = partitions_of(config, target)
    if len(theirs) != len(reader.partitions):
        raise ReplayError(
            f"{target} has {len(theirs)} partitions and {reader.topic} has {len(reader.partitions)}: records keep "
            f"their partition, so replay into a topic with the same number"
        )


def _candidates(reader: TopicReader, earliest: int) -> Iterator[list[Message]]:
    """All records that can hold events of the range: an event far ahead of its record would be refused."""
    for partition, (_, end) in reader.settled_bounds().items():
        yield from reader.span(partition, reader.offset_at(partition, earliest), end)


def _send_inside(messages: Sequence[Message], decoder: MarketDecoder, span: Span, producer: RawProducer) -> Replayed:
    records = Records.of(cast(Sequence[Record], messages))
    batch = decoder.decode(Fetch(topic="", partition=messages[0].partition() or 0, next_offset=0, records=records))
    inside = batch.events.with_columns(inside=span.holds())
    sent = 0
    for part in chosen_parts(messages, batch.payloads, inside):
        producer.send(part.message, part.value, part.headers)
        sent += 1
    producer.poll()
    return _account(batch, inside, sent)


def _account(batch: MicroBatch, inside: pl.DataFrame, sent: int) -> Replayed:
    chosen = inside.filter("inside")
    heartbeats = int((chosen["kind"] == "heartbeat").sum())
    events, outside = chosen.height - heartbeats, inside.height - chosen.height
    return Replayed(sent, events, heartbeats, outside, batch.rejects.height)


def replay_file(
    files: EventFiles, config: KafkaConfig, decoder: MarketDecoder, span: Span, target: str, *, on_progress: Progress
) -> Replayed:
    """Send the events of a file in the range, keyed by symbol as a producer does.

    Raises:
        FileError, ProduceError: the file does not hold events, or Kafka does not accept them.
    """
    total = Replayed()

    def inside() -> Iterator[pl.DataFrame]:
        nonlocal total
        for chunk in files.rows():
            rows, account = _inside(chunk, decoder, span)
            total += account
            on_progress(total)
            yield rows

    produce(inside(), config.client(), target)
    return total


def _inside(chunk: pl.DataFrame, decoder: MarketDecoder, span: Span) -> tuple[pl.DataFrame, Replayed]:
    if chunk["raw"].null_count() == chunk.height:
        rows = chunk.filter(span.holds())
        return rows, Replayed(records=rows.height, events=rows.height, outside=chunk.height - rows.height)
    batch = decoder.decode(as_fetch("file", enumerate(chunk["raw"])))
    events = batch.events.with_columns(inside=span.holds())
    account = _account(batch, events, int(events["inside"].sum()))
    return chunk[events.filter("inside")["record"].to_list()], account
