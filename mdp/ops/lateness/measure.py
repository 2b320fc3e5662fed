"""Reads a topic, or the records that arrived in a time range, and measures lateness in bounded memory.

Partitions are read one after the other, so the ids of only one are in memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from codec.market_batch import MarketDecoder
from contracts.errors import MdpError
from contracts.record import Fetch, Record, Records
from features.bars.window_config import WindowConfig
from features.lateness.measure import Lateness, Measured
from transports.kafka.topic_reader import TopicReader


class LatenessError(MdpError):
    """Nothing can be measured; one line says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """The records of a partition with start ≤ offset < end."""

    partition: int
    start: int
    end: int

    @property
    def records(self) -> int:
        """The maximum number of records: transactions leave gaps."""
        return max(self.end - self.start, 0)


def parts_of(reader: TopicReader, start_ns: int | None, end_ns: int | None) -> list[Part]:
    """The parts with start ≤ Kafka timestamp < end, up to the topic's present end.

    Raises:
        LatenessError: there are no such records.
        SourceError: a transaction stays open in front of the end.
    """
    parts = []
    for partition, (low, high) in reader.settled_bounds().items():
        first = low if start_ns is None else reader.offset_at(partition, start_ns)
        parts.append(Part(partition, first, high if end_ns is None else reader.offset_at(partition, end_ns)))
    if not any(part.records for part in parts):
        when = "" if start_ns is None and end_ns is None else " that arrived in this time range"
        raise LatenessError(f"topic {reader.topic} holds no records{when}")
    return parts


def measure(
    reader: TopicReader,
    parts: Sequence[Part],
    decoder: MarketDecoder,
    window: WindowConfig,
    *,
    on_progress: Callable[[int], None],
) -> Measured:
    """Read the parts like a run that begins with them, and measure their events.

    Raises:
        SourceError: Kafka does not answer.
        LatenessError: none of the records holds an event.
    """
    measured, done = Measured.of(window), 0
    for part in parts:
        machine = Lateness(window, measured)
        for messages in reader.span(part.partition, part.start, part.end):
            records = Records.of(cast(Sequence[Record], messages))
            following = int(records.offsets[-1]) + 1
            fetch = Fetch(topic=reader.topic, partition=part.partition, next_offset=following, records=records)
            batch = decoder.decode(fetch)
            machine.take(batch, records.times()[batch.events["record"].to_numpy()])
            on_progress(done + following - part.start)
        machine.end()
        done += part.records
    if not len(measured.delay):
        raise LatenessError(f"topic {reader.topic} holds no events: {measured.rejected:,} rows were rejected")
    return measured
