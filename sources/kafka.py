"""Kafka partitions as a Bytewax source: one item is everything that could be fetched from one partition at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from bytewax.inputs import FixedPartitionedSource
from confluent_kafka import OFFSET_INVALID, Consumer, TopicPartition

from contracts.batch import MicroBatch
from contracts.bus_config import ClientOption, KafkaConfig
from contracts.partition_keys import part_name, partition_of
from contracts.record import Fetch
from contracts.timestamps import parse_timestamp
from sources.adaptive_queue import AdaptiveQueue
from sources.closing_times import ClosingTimes
from sources.end_offsets import EndOffsets
from sources.fetches import Answers
from sources.identity import TopicIdentity
from sources.partition import KafkaPartition
from sources.topics import SourceError, partitions_of
from telemetry.metrics import ERRORS, GAP_OFFSETS
from telemetry.outage import Outage

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
class KafkaSource(FixedPartitionedSource[tuple[str, MicroBatch], int]):
    """Reads all partitions of `topic`; emits (partition key, MicroBatch). The state of a partition is its next offset.

    Attributes:
        decode: what is made of what is fetched. It is handed part after part, because fetching a whole batch first and
            reading it later costs half as much again: each step would find the memory cold.
        identity: tells whether it is still the same topic.
        stop: ends the reading when it is set.
        has_begun: whether the flow has written anything yet that the topic led to.
        ends: confirms silence; None where nothing has to be known of it.
        closing_times: tells which small fetches can wait for more; None where none can.
    """

    config: KafkaConfig
    topic: str
    decode: Decode
    max_batch_size: int
    identity: TopicIdentity
    stop: threading.Event
    has_begun: Callable[[], bool]
    outage: Outage
    bounds: Bounds = Bounds()
    ends: EndOffsets | None = None
    closing_times: Callable[[], ClosingTimes] | None = None

    def list_parts(self) -> list[str]:
        return [part_name(partition) for partition in self._partitions]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> KafkaPartition:
        place = TopicPartition(self.topic, partition_of(for_part))
        queue = AdaptiveQueue(self._connect, place.topic, place.partition)
        consumer = queue.consumer
        low, high = consumer.get_watermark_offsets(place, timeout=_TIMEOUT)
        start = self._start(consumer, place, resume_state, low, high)
        if start < low:
            start = self.across_gap(place.partition, start, low)
        elif start > high:
            raise SourceError(
                f"{self.topic}[{place.partition}] ends at offset {high}, and saved state continues at {start}: "
                f"the topic has lost its end, or is another one; read it anew under another --name"
            )
        if self.ends is not None:
            self.ends.watch(place.partition)
        end = high if self.bounds.until_end else None
        return KafkaPartition(self, queue, place.partition, start, end)

    def _connect(self, limits: Mapping[str, ClientOption], answers: Answers | None) -> Consumer:
        queued = min(max(_QUEUED_KB // len(self._partitions), _LEAST_QUEUED_KB), _MOST_QUEUED_KB)
        client = self.config.client(
            group_id=self.config.consumer_group,
            queued_max_messages_kbytes=queued,
            **limits,
        )
        reports = {} if answers is None else {"statistics.interval.ms": answers.interval_ms, "stats_cb": answers.report}
        return Consumer({**client, **_CONSUMER, **reports})

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

    def _start(self, consumer: Consumer, place: TopicPartition, saved: int | None, low: int, high: int) -> int:
        if self.bounds.from_ns is not None:
            return _offset_at(consumer, place, self.bounds.from_ns, high)
        if saved is not None:
            return saved
        if not self.bounds.is_span and self.has_begun():
            # Its state was lost, or the partition is a new one: to begin anywhere else would leave out events.
            log.warning("%s[%d] has no saved state: reading it from its first record", self.topic, place.partition)
            return low
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
        if self.config.on_gap == "stop":
            raise SourceError(
                f"{gap}: set bus.kafka.on_gap=continue to go on without them, and give the topic a longer retention"
            )
        log.error("%s; going on without them (on_gap: continue)", gap)
        GAP_OFFSETS.labels(self.topic, str(partition)).inc(low - wanted)
        ERRORS.labels("source", "gap").inc()
        return low


def _offset_at(consumer: Consumer, place: TopicPartition, time_ns: int, high: int) -> int:
    """The first offset whose record has this timestamp or a later one; the end where there is none."""
    asked = TopicPartition(place.topic, place.partition, max(time_ns // 1_000_000, 0))
    offset: int = consumer.offsets_for_times([asked], timeout=_TIMEOUT)[0].offset
    return high if offset < 0 else offset
