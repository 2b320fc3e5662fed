"""Kafka partitions as a Bytewax source: one item is all that could be fetched from one partition at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

from bytewax.inputs import FixedPartitionedSource
from confluent_kafka import OFFSET_INVALID, Consumer, TopicPartition

from contracts.batch import MicroBatch
from contracts.partition_keys import part_name, partition_of
from contracts.progress import Reached
from contracts.record import Fetch
from contracts.timestamps import format_timestamp, parse_timestamp
from native.closing_times import ClosingTimes
from telemetry.metrics import ERRORS, GAP_OFFSETS
from telemetry.outage import Outage
from transports.kafka.adaptive_queue import AdaptiveQueue
from transports.kafka.config import ClientOption, KafkaConfig
from transports.kafka.end_offsets import EndOffsets
from transports.kafka.partition import KafkaPartition, Place, Saved
from transports.kafka.topic_identity import TopicIdentity
from transports.kafka.topics import SourceError, first_time_ms, log_ends, partitions_of

_TIMEOUT: Final = 10.0
_FULL_SHARE: Final = 8  # partitions that have full batches; more of them share this budget
_LEAST_BATCH: Final = 2_000
_QUEUED_KB: Final = 32_768  # of all partitions together, as long as each has the minimum
_LEAST_QUEUED_KB: Final = 512
_MOST_QUEUED_KB: Final = 8_192  # records fetched long before their use have left the CPU cache
_BATCHES_BYTES: Final = 128 << 20  # of all partitions together: far more than the most records of a batch take
_MOST_BATCH_BYTES: Final = 16 << 20
_CONSUMER: Final = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,  # reports the end of a partition even if its last records are control records
    "isolation.level": "read_committed",
    "auto.offset.reset": "error",
    "fetch.queue.backoff.ms": 5,  # the default of 1 s halves the rate of a replay
}


Decode = Callable[[Iterable[Fetch]], MicroBatch]


log = logging.getLogger("mdp.sources")


class Beginnings(Protocol):
    """The recorded progress of the flow through the topic, for when its saved state is lost."""

    @property
    def known(self) -> Mapping[int, Reached]:
        """By partition, where the flow began, and up to which offset all results are in the outputs."""

    @property
    def has_begun(self) -> bool:
        """Whether the flow has made progress in any partition."""

    def begin(self, partition: int, offset: int) -> None:
        """Records that a partition is read from its beginning, which is `offset` if it is the first time."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The part of the log that a run reads.

    Attributes:
        from_ns: begin at the first record with this timestamp or a later one, ignoring saved state.
        until_end: stop at the end offset that the partition has when the run starts. Records of transactions that are
            open then are part of the range: the run waits for their end.
        is_span: the run reads only a part of the log, and commits no offsets.
    """

    from_ns: int | None = None
    until_end: bool = False
    is_span: bool = False


@dataclass(frozen=True)
class KafkaSource(FixedPartitionedSource[tuple[str, MicroBatch], Saved]):
    """Reads all partitions of `topic`; emits (partition key, MicroBatch). A partition's state is its next offset.

    Attributes:
        decode: turns fetched records into a MicroBatch. It gets them part by part, because fetching a whole batch
            before decoding costs 1.5 times as much: the records would have left the CPU cache.
        identity: checks that the topic was not recreated.
        stop: ends the reading when it is set.
        beginnings: where the flow has begun, and how far its outputs reach.
        reach_ns: how far back in time the state of the flow reaches.
        ends: confirms idle partitions, and finds out which ones an open transaction blocks.
        closing_times: predicts which small fetches can wait for more; None if none can.
        state_format: version of the flow's saved state; state of another version is refused.
        first_row: where the topic's partitions begin among those of all topics of the flow (`telemetry.whereabouts`).
    """

    config: KafkaConfig
    topic: str
    decode: Decode
    max_batch_size: int
    identity: TopicIdentity
    stop: threading.Event
    beginnings: Beginnings
    reach_ns: int
    outage: Outage
    ends: EndOffsets
    bounds: Bounds = Bounds()
    closing_times: Callable[[], ClosingTimes] | None = None
    state_format: int = 0
    first_row: int = 0

    def list_parts(self) -> list[str]:
        return [part_name(partition) for partition in self._partitions]

    def build_part(self, step_id: str, for_part: str, resume_state: Saved | None) -> KafkaPartition:
        place = TopicPartition(self.topic, partition_of(for_part))
        queue = AdaptiveQueue(self._connect, place.topic, place.partition)
        consumer = queue.consumer
        low, high = consumer.get_watermark_offsets(place, timeout=_TIMEOUT)
        start, write_from = self._start(consumer, place, resume_state, low, high)
        if start < low:
            start = self.across_gap(place.partition, start, low)
        self._refuse_beyond(high, start, place.partition)
        end = self._log_ends[place.partition] if self.bounds.until_end else None
        return KafkaPartition(self, queue, place.partition, Place(start, write_from), end)

    def _refuse_beyond(self, high: int, start: int, partition: int) -> None:
        if start > high:
            raise SourceError(
                f"{self.topic}[{partition}] ends at offset {high}, but the flow has read up to {start}: "
                f"the topic has lost its end, or was recreated; read it from its beginning under another --name"
            )

    def _connect(self, limits: Mapping[str, ClientOption], callbacks: Mapping[str, Any]) -> Consumer:
        queued = min(max(_QUEUED_KB // len(self._partitions), _LEAST_QUEUED_KB), _MOST_QUEUED_KB)
        client = self.config.client(
            group_id=self.config.consumer_group,
            queued_max_messages_kbytes=queued,
            **limits,
        )
        return Consumer({**client, **_CONSUMER, **callbacks})

    @cached_property
    def batch_size(self) -> int:
        """Maximum records in a batch of a partition: one batch of each partition may be in flight at the same time."""
        share = min(_FULL_SHARE / len(self._partitions), 1.0)
        return max(int(self.max_batch_size * share), min(self.max_batch_size, _LEAST_BATCH))

    @cached_property
    def batch_bytes(self) -> int:
        """Maximum bytes of a batch's records together; a single record may exceed it."""
        return min(_BATCHES_BYTES // len(self._partitions), _MOST_BATCH_BYTES)

    @cached_property
    def _partitions(self) -> list[int]:
        return partitions_of(self.config, self.topic)

    @cached_property
    def _log_ends(self) -> dict[int, int]:
        return log_ends(self.config, self.topic, self._partitions)

    def _start(self, consumer: Consumer, place: TopicPartition, saved: Saved | None, low: int, high: int) -> Place:
        if self.bounds.from_ns is not None:
            return Place(_offset_at(consumer, place, self.bounds.from_ns, high))
        if saved is not None:
            return self._resumed(saved)
        if self.bounds.is_span:
            return Place(self._configured(consumer, place, low, high))
        known = self.beginnings.known.get(place.partition)
        if known is not None:
            start = self._again(consumer, place, known, low, high)
        elif self.beginnings.has_begun:  # the partition is new: to begin anywhere else would skip events
            log.warning("%s[%d] is new: reading it from its first record", self.topic, place.partition)
            start = Place(low)
        else:
            start = Place(self._configured(consumer, place, low, high))
        self.beginnings.begin(place.partition, start.next_offset)
        return start

    def _resumed(self, saved: object) -> Place:
        """Returns where saved state resumes.

        Raises:
            SourceError: another version has saved it. Its steps would lack their state and begin in mid-stream.
        """
        match saved:
            case (self.state_format, int(next_offset), int(write_from)):
                return Place(next_offset, write_from)
        raise SourceError(
            f"saved state of {self.topic} is from another version of mdp: read the log again with --reset-state, or "
            "with another recovery folder"
        )

    def _again(self, consumer: Consumer, place: TopicPartition, known: Reached, low: int, high: int) -> Place:
        """Returns where the flow began, according to its outputs; or the first record that is left.

        Results equal the former ones only once the state depends on nothing before that record; only these are written.

        Raises:
            SourceError: the outputs do not reach that far yet, and the config says to stop.
        """
        topic, partition, complete = self.topic, place.partition, known.next_offset
        self._refuse_beyond(high, complete, partition)
        begin = f"record {known.first_offset}, where it began" if known.first_offset > low else "its first record"
        log.warning("%s[%d] has no saved state: reading it from %s", topic, partition, begin)
        if low <= known.first_offset:
            return Place(known.first_offset)
        first_ms = first_time_ms(self.config, topic, partition)
        settled = high if first_ms is None else _offset_at(consumer, place, first_ms * 1_000_000 + self.reach_ns, high)
        if complete < settled:
            since = "" if first_ms is None else f" of {format_timestamp(first_ms * 1_000_000)}"
            self._skip_gap(
                f"{topic}[{partition}]: the results of records {complete} to {settled - 1} are not in the outputs, "
                f"and cannot be recomputed, as the log now begins with record {low}{since}",
                partition,
                max(low - complete, 0),
            )
        return Place(low, min(settled, max(complete, low)))

    def _configured(self, consumer: Consumer, place: TopicPartition, low: int, high: int) -> int:
        start = self.config.start
        if start in ("earliest", "latest"):
            return low if start == "earliest" else high
        if start == "group":
            committed = consumer.committed([place], timeout=_TIMEOUT)[0].offset
            return low if committed == OFFSET_INVALID else max(low, committed)
        return _offset_at(consumer, place, parse_timestamp(start), high)

    def across_gap(self, partition: int, wanted: int, low: int) -> int:
        """Returns where to resume when records were deleted before they were read; counts them.

        Raises:
            SourceError: the config says to stop.
        """
        gap = f"{self.topic}[{partition}]: records {wanted} to {low - 1} were deleted before they were read"
        self._skip_gap(gap, partition, low - wanted)
        return low

    def _skip_gap(self, gap: str, partition: int, records: int) -> None:
        if self.config.on_gap == "stop":
            raise SourceError(
                f"{gap}: set bus.kafka.on_gap=continue to go on without them, and give the topic a longer retention"
            )
        log.error("%s; going on without them (on_gap: continue)", gap)
        GAP_OFFSETS.labels(self.topic, str(partition)).inc(records)
        ERRORS.labels("source", "gap").inc()


def _offset_at(consumer: Consumer, place: TopicPartition, time_ns: int, high: int) -> int:
    """The first offset whose record has this timestamp or a later one; the end offset if there is none."""
    asked = TopicPartition(place.topic, place.partition, max(time_ns // 1_000_000, 0))
    offset: int = consumer.offsets_for_times([asked], timeout=_TIMEOUT)[0].offset
    return high if offset < 0 else offset
