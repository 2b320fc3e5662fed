"""Kafka partitions as a Bytewax source: one item is everything that could be fetched from one partition at once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import chain
from typing import Final, cast

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from contracts.batch import MicroBatch, Quiet
from contracts.bus_config import KafkaConfig
from contracts.partition_keys import part_name, partition_key, partition_of
from contracts.record import Fetch, Record
from contracts.timestamps import parse_timestamp
from sources import brokers
from sources.end_offsets import EndOffsets
from telemetry.metrics import GAP_OFFSETS
from telemetry.outage import Outage, wait_out

_TIMEOUT: Final = 10.0
_PART: Final = 4000  # records, with all that is made of them, that still fit a core's cache together
_NO_END: Final = 2**63 - 1
_POLL: Final = timedelta(milliseconds=3)
_WAIT_IT_OUT: Final = frozenset({KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT})
_OUT_OF_LOG: Final = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})
_DOUBTFUL: Final = _OUT_OF_LOG | {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
}
_RECOVERY_SECONDS: Final = 30.0
_CONSUMER: Final = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,  # says where a partition ends even if its last records are transaction markers
    "isolation.level": "read_committed",
    "auto.offset.reset": "error",
    "queued.max.messages.kbytes": 4_096,  # of each partition; what is fetched and not yet wanted is cold when it is
    "max.partition.fetch.bytes": 524_288,
    "fetch.queue.backoff.ms": 5,  # the default of 1 s halves the rate of a replay
}


Decode = Callable[[Iterable[Fetch]], MicroBatch]


log = logging.getLogger("mdp.sources")


class SourceError(ValueError):
    """The topic cannot be read as asked; one line says what to do."""


class BrokerUnavailable(SourceError):  # noqa: N818 - says what is wrong
    """No broker answers; the same call may succeed later."""


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


def partitions_of(config: KafkaConfig, topic: str) -> list[int]:
    """The partitions of a topic.

    Raises:
        BrokerUnavailable: no broker answers.
        SourceError: the broker refuses us, or we it; or there is no such topic.
    """
    try:
        metadata = brokers.metadata(config.client(socket_timeout_ms=10_000), topic).topics[topic]
    except brokers.Refused as error:
        raise SourceError(str(error)) from None
    except brokers.Unreachable as error:
        raise BrokerUnavailable(str(error)) from None
    if metadata.error is not None:
        raise SourceError(f"topic {topic} cannot be read: {metadata.error.str()}; run `mdp topics apply`")
    return sorted(metadata.partitions)


def topic_id(config: KafkaConfig, topic: str) -> str:
    """Tells a topic from another of its name: one that is deleted and made anew has another id.

    Raises:
        BrokerUnavailable: no broker answers.
    """
    admin = AdminClient(config.client())
    try:
        return str(admin.describe_topics(TopicCollection([topic]))[topic].result(_TIMEOUT).topic_id)
    except KafkaException as error:
        raise BrokerUnavailable(f"topic {topic} cannot be described: {error.args[0].str()}") from None


@dataclass(frozen=True)
class KafkaSource(FixedPartitionedSource[tuple[str, MicroBatch], int]):
    """Reads all partitions of `topic`; emits (partition key, MicroBatch). The state of a partition is its next offset.

    Attributes:
        decode: what is made of what is fetched. It is handed part after part, because fetching a whole batch first and
            reading it later costs half as much again: each step would find the memory cold.
        stop: ends the reading when it is set.
        has_begun: whether the flow has written anything yet that the topic led to.
        ends: confirms silence; None where nothing has to be known of it.
    """

    config: KafkaConfig
    topic: str
    decode: Decode
    max_batch_size: int
    stop: threading.Event
    has_begun: Callable[[], bool]
    outage: Outage
    bounds: Bounds = Bounds()
    ends: EndOffsets | None = None

    def list_parts(self) -> list[str]:
        return [part_name(partition) for partition in partitions_of(self.config, self.topic)]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> KafkaPartition:
        consumer = Consumer({**self.config.client(group_id=self.config.consumer_group), **_CONSUMER})
        place = TopicPartition(self.topic, partition_of(for_part))
        low, high = consumer.get_watermark_offsets(place, timeout=_TIMEOUT)
        start = self._start(consumer, place, resume_state, low, high)
        if start < low:
            start = self.across_gap(place.partition, start, low)
        elif start > high:
            raise SourceError(
                f"{self.topic}[{place.partition}] ends at offset {high}, and saved state continues at {start}: "
                f"the topic has lost its end, or is another one; read it anew under another --name"
            )
        consumer.assign([TopicPartition(self.topic, place.partition, start)])
        if self.ends is not None:
            self.ends.watch(place.partition)
        end = high if self.bounds.until_end else None
        return KafkaPartition(self, consumer, place.partition, start, end)

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

    @cached_property
    def topic_id(self) -> str:
        """Of the topic that was there at the start."""
        return topic_id(self.config, self.topic)

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
        return low


def _offset_at(consumer: Consumer, place: TopicPartition, time_ns: int, high: int) -> int:
    """The first offset whose record has this timestamp or a later one; the end where there is none."""
    asked = TopicPartition(place.topic, place.partition, max(time_ns // 1_000_000, 0))
    offset: int = consumer.offsets_for_times([asked], timeout=_TIMEOUT)[0].offset
    return high if offset < 0 else offset


class KafkaPartition(StatefulSourcePartition[tuple[str, MicroBatch], int]):
    """One partition, read by a consumer of its own, whose queue is bounded."""

    def __init__(self, source: KafkaSource, consumer: Consumer, partition: int, start: int, end: int | None) -> None:
        self._source = source
        self._consumer = consumer
        self._topic_id = source.topic_id
        self._partition = partition
        self._key = partition_key(partition)
        self._next = start
        self._end = end
        self._awake: datetime | None = None
        self._reported = 0
        self._ahead_since: float | None = None
        self._in_doubt = False  # whether the topic is still the one it was

    def next_batch(self) -> Iterable[tuple[str, MicroBatch]]:
        if self._source.stop.is_set() or (self._end is not None and self._next >= self._end):
            raise StopIteration
        parts = self._parts()
        first = next(parts, None)
        batch = None if first is None else self._source.decode(chain([first], parts))
        self._awake = None if first else datetime.now(UTC) + _POLL
        quiet = self._confirmed_quiet()
        if quiet is not None:
            nothing = MicroBatch(topic=self._source.topic, partition=self._partition, next_offset=self._next)
            batch = replace(batch or nothing, quiet=quiet)
        return [(self._key, batch)] if batch else []

    def _parts(self) -> Iterator[Fetch]:
        """What is there, at most a batch."""
        room = self._source.max_batch_size
        while room > 0:
            asked = min(room, _PART)
            messages = self._consumer.consume(asked, timeout=0)
            records = self._before_end([message for message in messages if message.error() is None])
            if len(records) < len(messages):
                self._heed([message for message in messages if message.error() is not None])
            if records:
                self._settle_doubt()
                self._next = max(self._next, int(records[-1].offset() or 0) + 1)
                yield self._fetch(cast(list[Record], records))
            if len(messages) < asked:
                return
            room -= asked

    def _before_end(self, records: list[Message]) -> list[Message]:
        """Without what came in after a bounded run had begun."""
        if self._end is None or not records or int(records[-1].offset() or 0) < self._end:
            return records
        self._next = self._end
        return [record for record in records if int(record.offset() or 0) < self._end]

    def _fetch(self, records: Sequence[Record]) -> Fetch:
        topic, partition = self._source.topic, self._partition
        return Fetch(
            topic=topic, partition=partition, next_offset=self._next, records=records, read_at=time.monotonic_ns()
        )

    def _heed(self, events: list[Message]) -> None:
        for event in events:
            error = event.error()
            if error is None:
                continue
            self._in_doubt |= error.code() in _DOUBTFUL
            if error.code() == KafkaError._PARTITION_EOF:
                self._settle_doubt()
                self._next = max(self._next, min(event.offset() or 0, self._end or _NO_END))
            elif error.code() in _OUT_OF_LOG:
                self._find_the_log()
            elif error.code() in _WAIT_IT_OUT or error.retriable():
                self._source.outage.begin(error.str())
            else:
                raise SourceError(
                    f"{self._source.topic}[{self._partition}] cannot be read at {self._next}: {error.str()}"
                )

    def _settle_doubt(self) -> None:
        """The log answers again."""
        if self._in_doubt:
            self._check_identity()
        self._in_doubt, self._ahead_since = False, None
        self._source.outage.end()

    def _check_identity(self) -> None:
        config, topic = self._source.config, self._source.topic
        if wait_out(lambda: topic_id(config, topic), BrokerUnavailable, "Kafka") != self._topic_id:
            raise SourceError(f"topic {topic} was deleted and made anew: read the new one under another --name")

    def _find_the_log(self) -> None:
        """Records were deleted before they were read; or the broker, just back, does not yet know all it has."""
        place = TopicPartition(self._source.topic, self._partition)
        try:
            low, high = self._consumer.get_watermark_offsets(place, timeout=_TIMEOUT)
        except KafkaException:
            low = high = self._next
        if low > self._next:
            self._next = self._source.across_gap(self._partition, self._next, low)
        elif high < self._next:
            self._check_identity()
            self._wait_for_the_end(high)
        self._consumer.assign([TopicPartition(place.topic, place.partition, self._next)])

    def _wait_for_the_end(self, high: int) -> None:
        now = time.monotonic()
        self._ahead_since = self._ahead_since or now
        if now - self._ahead_since > _RECOVERY_SECONDS:
            raise SourceError(
                f"{self._source.topic}[{self._partition}] ends at offset {high}, and was read up to {self._next}: "
                f"the topic has lost its end, or is another one; read it anew under another --name"
            )

    def _confirmed_quiet(self) -> Quiet | None:
        """What the broker last confirmed, once, if everything up to there has been read."""
        latest = self._source.ends.latest(self._partition) if self._source.ends else None
        if latest is None or latest.asked_at <= self._reported or self._next < latest.end:
            return None
        self._reported = latest.asked_at
        return Quiet(latest.unbroken_since, latest.asked_at)

    def next_awake(self) -> datetime | None:
        return self._awake

    def snapshot(self) -> int:
        """The next offset; also committed to the consumer group, for the eyes of lag tools only."""
        if not self._source.bounds.is_span:
            place = TopicPartition(self._source.topic, self._partition, self._next)
            self._consumer.commit(offsets=[place], asynchronous=True)
        return self._next

    def close(self) -> None:
        self._consumer.close()
        if self._source.ends is not None:
            self._source.ends.stop()
