"""One Kafka partition as part of a Bytewax source."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
from bytewax.inputs import StatefulSourcePartition
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from codec.decode import fitting
from contracts.batch import Appended, MicroBatch, Quiet
from contracts.budgets import Room
from contracts.partition_keys import partition_key
from contracts.record import Fetch, Records
from telemetry import whereabouts
from telemetry.bus import Consumption
from telemetry.endings import never_raising
from telemetry.partition_lag import Reading
from telemetry.step_cpu import counted
from transports.kafka.adaptive_queue import AdaptiveQueue
from transports.kafka.backpressure import Polls
from transports.kafka.end_offsets import Silence
from transports.kafka.object_queue import Notice
from transports.kafka.topics import SourceError
from transports.kafka.unreadable import UNREADABLE, after_unreadable

if TYPE_CHECKING:
    from transports.kafka.source import KafkaSource

_TIMEOUT: Final = 10.0
_PART: Final = 4000  # records that fit a core's cache together with everything derived from them
_SMALL: Final = 2_000  # records from which on a batch is cheaper than waiting for more
_PATIENCE_SECONDS: Final = 0.25  # while no window is about to close
_LEAST_PATIENCE_SECONDS: Final = 0.1
_PIECES: Final = 64  # of the suspects: three deaths find one of a quarter of a million records
_NO_END: Final = 2**63 - 1
_POLL_SECONDS: Final = 0.003
_SOON_SECONDS: Final = 0.001  # between two polls, when a window may close at any moment
_LATER_SECONDS: Final = 0.01  # when none will, or a partition is idle: an empty poll costs as much as a full one
_QUIET_SECONDS: Final = 1.0
_WAIT_IT_OUT: Final = frozenset({KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT})
_OUT_OF_LOG: Final = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})
_DOUBTFUL: Final = _OUT_OF_LOG | {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
}
_RECOVERY_SECONDS: Final = 30.0


class Place(NamedTuple):
    """The offset to read a partition from, and the first offset whose results are to be written."""

    next_offset: int
    write_from: int = 0


Saved: TypeAlias = tuple[int, int, int]  # of a partition: the format version of the saved state, and its Place


class KafkaPartition(StatefulSourcePartition[tuple[str, MicroBatch], Saved]):
    """One partition, read by a consumer of its own, whose queue is bounded."""

    def __init__(
        self, source: KafkaSource, queue: AdaptiveQueue, partition: int, place: Place, end: int | None
    ) -> None:
        self._source = source
        self._consumer = queue.consumer
        self._queue = queue
        start, self._write_from = place
        self._queue.start_at(start)
        self._partition = partition
        self._key = partition_key(partition)
        self._read_to = start
        self._end = end
        self._whereabouts = whereabouts.own()
        self._row = source.first_row + partition
        self._whereabouts.begin(self._row, start)
        self._suspects = self._whereabouts.suspects(self._row)
        self._held: Records | None = None  # read, and held back for more
        self._left: Records | None = None  # read, and too large for the last batch
        self._closing_times = source.closing_times() if source.closing_times else None
        self._may_close = True  # whether the next records may close a window
        self._closes_at = 0.0  # when a window may close next, at the present rate of events
        self._handed_on_at = 0.0
        self._last_appended = (0, 0)
        self._read_at = 0  # when the newest record was fetched
        self._awake: datetime | None = None
        self._ahead_since: float | None = None
        self._in_doubt = False  # the topic may have been recreated
        self._counted_read = counted("read", self._read)
        group = source.config.consumer_group
        self._consumption = Consumption(source.topic, group)
        self._reading = Reading(source.topic, partition, group, lambda: self._read_to, self._known_end)
        self._silence = Silence(source.ends, partition)
        source.ends.watch(partition, self._reading.lag_offsets)

    def next_batch(self) -> Iterable[tuple[str, MicroBatch]]:
        self._reading.asked_at = time.monotonic()
        Polls.add()
        return self._counted_read()

    def _known_end(self) -> int | None:
        if self._end is not None:
            return self._end
        latest = self._source.ends.latest(self._partition)
        return None if latest is None else latest.end

    def _read(self) -> Iterable[tuple[str, MicroBatch]]:
        """Fetches and decodes in one step, as each part of a fetch is decoded while it is in the cache."""
        if self._source.stop.is_set() or (self._has_ended and not (self._held or self._left)):
            raise StopIteration
        parts = self._parts()
        first = next(parts, None)
        batch = None if first is None else self._decoded(first, parts)
        self._awake = None if first else datetime.now(UTC) + self._pause
        quiet = self._confirmed_quiet()
        if quiet is not None:
            nothing = MicroBatch(topic=self._source.topic, partition=self._partition, next_offset=self._next)
            batch = replace(batch or nothing, quiet=quiet)
        return [(self._key, batch)] if batch else []

    def _decoded(self, first: Fetch, others: Iterator[Fetch]) -> MicroBatch:
        begin = _appended(first.records, 0)
        batch = self._source.decode(chain([first], others))
        appended = Appended(*zip(begin, self._last_appended, strict=True))
        write_from = self._write_from if begin[0] < self._write_from else 0
        return replace(batch, appended=appended, write_from=write_from)

    @property
    def _pause(self) -> timedelta:
        """Time until the next poll: shorter as the close of a window comes nearer."""
        if time.monotonic() - self._handed_on_at >= _QUIET_SECONDS:
            return timedelta(seconds=_LATER_SECONDS)
        if self._closing_times is None:
            return timedelta(seconds=_POLL_SECONDS)
        return timedelta(seconds=self._half_time_to_close(_SOON_SECONDS, _LATER_SECONDS))

    def _half_time_to_close(self, least: float, most: float) -> float:
        """Half the seconds until a window may close, within these bounds."""
        return min(max((self._closes_at - time.monotonic()) / 2, least), most)

    @property
    def _next(self) -> int:
        """The next offset to emit: everything before it has been emitted."""
        waiting = self._left or self._held
        return int(waiting.offsets[0]) if waiting else self._read_to

    @property
    def _has_ended(self) -> bool:
        """Whether a bounded run has read its whole range of the partition."""
        return self._end is not None and self._read_to >= self._end

    def _parts(self) -> Iterator[Fetch]:
        """Yields the available records, at most a batch; nothing while they are few and can wait."""
        if self._left:
            if self._next >= self._suspects.stop or self._whereabouts.are_suspects_written():
                yield self._fetch(self._fitting(self._left, Room()))
            return
        room, room_bytes, unpacked = self._room, self._source.batch_bytes, Room()
        while room > 0 and room_bytes > 0:
            held, self._held = self._held, None
            new, is_all = self._polled(min(room, _PART) - (len(held) if held else 0), room_bytes)
            if len(new):
                self._read_at = time.monotonic_ns()
            records = held + new if held else new
            if is_all and room == self._source.batch_size and self._can_wait(records, new):
                self._held = records
            elif len(records):
                self._handed_on_at = time.monotonic()
                if self._may_close:
                    self._source.identity.ask()  # so that the answer has arrived when results are to be written
                if len(fit := self._fitting(records, unpacked)):
                    yield self._fetch(fit)
            if is_all or self._has_ended or self._left:
                return
            room, room_bytes = room - len(records), room_bytes - records.size

    @property
    def _room(self) -> int:
        """How many records may be read; suspects come in pieces, one piece of all partitions at a time."""
        most, suspects = self._source.batch_size, self._suspects
        if self._read_to >= suspects.stop:
            return most
        if self._read_to < suspects.start:
            return min(most, suspects.start - self._read_to)
        return max(len(suspects) // _PIECES, 1) if self._whereabouts.are_suspects_written() else 0

    def _fitting(self, records: Records, unpacked: Room) -> Records:
        """The first records within the budget when decoded, at least one; keeps the rest for the next batch."""
        count = fitting(records, unpacked)
        self._left = records.after(count) if count < len(records) else None
        return records.first(count)

    def _polled(self, most: int, most_bytes: int) -> tuple[Records, bool]:
        """Returns (fetched records, whether none are left)."""
        fetched, events, is_all = self._queue.read(most, most_bytes)
        records = self._before_end(fetched)
        if len(records):
            offset, appended_ms = _appended(records, -1)
            self._read_to = max(self._read_to, offset + 1)
            self._reading.read(appended_ms)
        self._handle([*events, *self._queue.notices()])  # may search for the log at the end of the records
        if len(records):
            self._settle_doubt()
        return records, is_all

    def _can_wait(self, records: Records, new: Records) -> bool:
        """Whether holding these records back cannot delay a visible result.

        Many small batches take as much CPU as a few large ones with a hundred times the events. The first batch after
        a pause does not wait.
        """
        if self._closing_times is None or not len(records) or len(records) >= min(_SMALL, self._source.batch_size):
            self._may_close = True
            return False
        if self._read_to < self._suspects.stop:
            return False
        closes = self._may_close = self._closing_times.pass_one(new)
        if len(new):
            self._closes_at = time.monotonic() + self._closing_times.ahead_ns / 1e9
        # A batch that closes a window is small if another one was emitted shortly before.
        patience = self._half_time_to_close(_LEAST_PATIENCE_SECONDS, _PATIENCE_SECONDS)
        return not closes and time.monotonic() - self._handed_on_at < patience

    def _before_end(self, records: Records) -> Records:
        """The records without those appended after a bounded run began."""
        if self._end is None or not len(records) or records.offsets[-1] < self._end:
            return records
        self._read_to = self._end
        return records.first(int(np.searchsorted(records.offsets, self._end)))

    def _fetch(self, records: Records) -> Fetch:
        self._last_appended = _appended(records, -1)
        self._whereabouts.give(self._row, int(records.offsets[0]), self._next)
        nbytes = int(records.values.lengths.clip(min=0).sum())
        self._consumption.note(len(records), nbytes, time.time() * 1e3 - self._last_appended[1])
        return Fetch(
            topic=self._source.topic,
            partition=self._partition,
            next_offset=self._next,
            records=records,
            read_at=self._read_at,
        )

    def _handle(self, events: list[Notice]) -> None:
        for event in events:
            error = event.error
            self._in_doubt |= error.code() in _DOUBTFUL
            if error.code() == KafkaError._PARTITION_EOF:
                self._settle_doubt()
                self._read_to = max(self._read_to, min(event.offset, self._end or _NO_END))
                self._reading.reached_end()
            elif error.code() in _OUT_OF_LOG:
                self._find_the_log()
            elif error.code() in UNREADABLE:
                self._step_over(event)
            elif error.code() in _WAIT_IT_OUT or error.retriable():
                self._source.outage.begin(error.str())
            else:
                raise SourceError(
                    f"{self._source.topic}[{self._partition}] cannot be read at {self._read_to}: {error.str()}"
                )

    def _step_over(self, event: Notice) -> None:
        """Skips a batch that cannot be unpacked."""
        if self._has_ended:
            return
        place = TopicPartition(self._source.topic, self._partition, self._read_to)
        self._read_to = after_unreadable(self._source.config, place, event.offset, event.error)
        self._queue.start_at(self._read_to)

    def _settle_doubt(self) -> None:
        """Notes that the log is readable again."""
        if self._in_doubt:
            self._source.identity.check()
        self._in_doubt, self._ahead_since = False, None
        self._source.outage.end()

    def _find_the_log(self) -> None:
        """Moves to a valid offset: records were deleted unread, or a restarted broker has not recovered its end yet."""
        place = TopicPartition(self._source.topic, self._partition)
        try:
            low, high = self._consumer.get_watermark_offsets(place, timeout=_TIMEOUT)
        except KafkaException:
            low = high = self._read_to
        if low > self._read_to:
            self._read_to = self._source.across_gap(self._partition, self._read_to, low)
        elif high < self._read_to:
            self._source.identity.check()
            self._wait_for_the_end(high)
        self._queue.start_at(self._read_to)

    def _wait_for_the_end(self, high: int) -> None:
        now = time.monotonic()
        self._ahead_since = self._ahead_since or now
        if now - self._ahead_since > _RECOVERY_SECONDS:
            raise SourceError(
                f"{self._source.topic}[{self._partition}] ends at offset {high}, but was read up to {self._read_to}: "
                f"the topic has lost its end, or was recreated; read it from its beginning under another --name"
            )

    def _confirmed_quiet(self) -> Quiet | None:
        """The broker's newest confirmation, once, up to whose end offset everything has been read."""
        if self._end is not None:  # a bounded run writes no heartbeats
            return None
        confirmed = self._silence.confirmed(self._next)
        return None if confirmed is None else Quiet(confirmed.unbroken_since, confirmed.asked_at)

    def next_awake(self) -> datetime | None:
        return self._awake

    def snapshot(self) -> Saved:
        """The next offset; it is also committed to the consumer group, for lag tools only."""
        if not self._source.bounds.is_span:
            place = TopicPartition(self._source.topic, self._partition, self._next)
            self._consumer.commit(offsets=[place], asynchronous=True)
        return self._source.state_format, self._next, self._write_from if self._next < self._write_from else 0

    def close(self) -> None:
        with never_raising(f"{self._source.topic}[{self._partition}] could not be closed in order"):
            self._source.ends.leave(self._partition)
            self._reading.close()
            self._queue.close()


def _appended(records: Records, index: int) -> tuple[int, int]:
    """The offset of a record, and its timestamp in milliseconds."""
    return int(records.offsets[index]), int(records.times_ms[index])
