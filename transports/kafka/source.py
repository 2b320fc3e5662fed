"""Kafka partitions as a Bytewax source: one item is everything that could be fetched from one partition at once."""

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
from transports.kafka.topics import SourceError, first_time_ms, partitions_of

_TIMEOUT: Final = 10.0
_FULL_SHARE: Final = 8  # up to so many partitions have full batches; more share the room of these
_LEAST_BATCH: Final = 2_000
_QUEUED_KB: Final = 32_768  # of all partitions together, as long as each has the least
_LEAST_QUEUED_KB: Final = 512
_MOST_QUEUED_KB: Final = 8_192  # what has been fetched long before it is wanted is cold
_BATCHES_BYTES: Final = 128 << 20  # of all partitions together: far more than the records that a batch may have
_MOST_BATCH_BYTES: Final = 16 << 20
_CONSUMER: Final = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,  # says where a partition ends even if its last records are transaction markers
    "isolation.level": "read_committed",
    "auto.offset.reset": "error",
    "fetch.queue.backoff.ms": 5,  # the default of 1 s halves the rate of a replay
}


Decode = Callable[[Iterable[Fetch]], MicroBatch]


log = logging.getLogger("mdp.sources")


class Beginnings(Protocol):
    """What is written down of the flow's way through the topic, for when its saved state is lost."""

    @property
    def known(self) -> Mapping[int, Reached]:
        """By partition, where the flow began, and up to where all that the records led to is in the outputs."""

    @property
    def has_begun(self) -> bool:
        """Whether the flow has come any further in any partition."""

    def begin(self, partition: int, offset: int) -> None:
        """Writes down that a partition is read anew, from `offset` if that is the first time."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What part of the log a run reads.

    Attributes:
        from_ns: begin at the first record with this timestamp or a later one, whatever state was saved.
        until_end: stop at the end that the partition has when the run starts.
        is_span: the run is about a part of the log only, and commits no offsets.
    """

    from_ns: int | None = None
    until_end: bool = False
    is_span: bool = False


@dataclass(frozen=True)
class KafkaSource(FixedPartitionedSource[tuple[str, MicroBatch], Saved]):
    """Reads all partitions of `topic`; emits (partition key, MicroBatch). The state of a partition is its next offset.

    Attributes:
        decode: what is made of what is fetched. It is handed part after part, because fetching a whole batch first and
            reading it later costs half as much again: each step would find the memory cold.
        identity: tells whether it is still the same topic.
        stop: ends the reading when it is set.
        beginnings: where the flow has begun, and how far its outputs have come.
        reach_ns: how far back in time the state of the flow reaches.
        ends: confirms silence; None where nothing has to be known of it.
        closing_times: tells which small fetches can wait for more; None where none can.
        state_format: of all that the flow saves; state of another one is refused.
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
    bounds: Bounds = Bounds()
    ends: EndOffsets | None = None
    closing_times: Callable[[], ClosingTimes] | None = None
    state_format: int = 0

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
        if self.ends is not None:
            self.ends.watch(place.partition)
        end = high if self.bounds.until_end else None
        return KafkaPartition(self, queue, place.partition, Place(start, write_from), end)

    def _refuse_beyond(self, high: int, start: int, partition: int) -> None:
        if start > high:
            raise SourceError(
                f"{self.topic}[{partition}] ends at offset {high}, and the flow has come to {start}: "
                f"the topic has lost its end, or is another one; read it anew under another --name"
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
        """How many records a batch of a partition may have: one of each may be under way at the same time."""
        share = min(_FULL_SHARE / len(self._partitions), 1.0)
        return max(int(self.max_batch_size * share), min(self.max_batch_size, _LEAST_BATCH))

    @cached_property
    def batch_bytes(self) -> int:
        """How large the records of a batch may be together; one may always be larger."""
        return min(_BATCHES_BYTES // len(self._partitions), _MOST_BATCH_BYTES)

    @cached_property
    def _partitions(self) -> list[int]:
        return partitions_of(self.config, self.topic)

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
        elif self.beginnings.has_begun:  # the partition is a new one: to begin anywhere else would leave out events
            log.warning("%s[%d] is new: reading it from its first record", self.topic, place.partition)
            start = Place(low)
        else:
            start = Place(self._configured(consumer, place, low, high))
        self.beginnings.begin(place.partition, start.next_offset)
        return start

    def _resumed(self, saved: object) -> Place:
        """Where saved state goes on.

        Raises:
            SourceError: another version has saved it. Its steps would not find their state, and begin in the midst.
        """
        match saved:
            case (self.state_format, int(next_offset), int(write_from)):
                return Place(next_offset, write_from)
        raise SourceError(
            f"saved state of {self.topic} is of another version of mdp: read the log anew with --reset-state, or with "
            "another folder of recovery"
        )

    def _again(self, consumer: Consumer, place: TopicPartition, known: Reached, low: int, high: int) -> Place:
        """From where the flow began, as the outputs say; or from the first record that is left.

        From there, only what is made once the state reaches back no further is what it was, and is written.

        Raises:
            SourceError: the outputs have not come so far yet, and the config says to stop.
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
            self._leave_out(
                f"{topic}[{partition}]: what records {complete} to {settled - 1} led to is not in the outputs, "
                f"and the log, which begins with record {low}{since}, no longer tells it",
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
        """Where to go on when records were deleted before they were read; they are counted.

        Raises:
            SourceError: the config says to stop.
        """
        gap = f"{self.topic}[{partition}]: records {wanted} to {low - 1} were deleted before they were read"
        self._leave_out(gap, partition, low - wanted)
        return low

    def _leave_out(self, gap: str, partition: int, records: int) -> None:
        if self.config.on_gap == "stop":
            raise SourceError(
                f"{gap}: set bus.kafka.on_gap=continue to go on without them, and give the topic a longer retention"
            )
        log.error("%s; going on without them (on_gap: continue)", gap)
        GAP_OFFSETS.labels(self.topic, str(partition)).inc(records)
        ERRORS.labels("source", "gap").inc()


def _offset_at(consumer: Consumer, place: TopicPartition, time_ns: int, high: int) -> int:
    """The first offset whose record has this timestamp or a later one; the end where there is none."""
    asked = TopicPartition(place.topic, place.partition, max(time_ns // 1_000_000, 0))
    offset: int = consumer.offsets_for_times([asked], timeout=_TIMEOUT)[0].offset
    return high if offset < 0 else offset
