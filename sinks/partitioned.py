"""The writers as Bytewax sinks: one part per source partition, and a snapshot that is a barrier.

Bytewax takes the snapshot of a part at the end of an epoch in which the part got items, before it commits the epoch. So
everything passed to a background writer is in PostgreSQL, or acknowledged by Kafka, when the state that produced it is
saved. Progress is read from the outputs; the snapshot keeps what they have acknowledged, to detect outputs that have
lost it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import ClassVar, Generic, TypeVar

from bytewax import errors
from bytewax.outputs import DynamicSink, FixedPartitionedSink, StatefulSinkPartition, StatelessSinkPartition

from codec.heartbeats import EncodeHeartbeat, event_heartbeat
from codec.output_records import Cause, Identity
from contracts.batch import NO_REFUSED, Confirm, MicroBatch
from contracts.partition_keys import partition_of
from contracts.progress import Reached, Source
from sinks.background import BackgroundWriter
from sinks.store import StoreWriter
from telemetry.latency import KAFKA, STORE, written
from telemetry.snapshots import timed_snapshot
from telemetry.whereabouts import noted
from transports.kafka.config import KafkaConfig
from transports.kafka.heartbeats import HeartbeatWriter
from transports.kafka.lost_ends import Written
from transports.kafka.output_progress import InOutputs, OutputProgress
from transports.kafka.read_back import Place
from transports.kafka.transactional_writer import Mark, Records, TransactionalWriter

_Parts = Callable[[], list[str]]
_W = TypeVar("_W")
_S = TypeVar("_S")
# Saved state outlives these classes, so it consists of built-in types.
InTables = dict[Source, tuple[int, int]]  # as Reached
InTopics = dict[tuple[str, int], tuple[int, Cause]]  # Place and Written


@contextmanager
def _failing_as_a_step() -> Iterator[None]:
    """Ends the dataflow on an exception in the way that Bytewax does for one raised in a step."""
    try:
        yield
    except Exception as error:
        raise errors.BytewaxRuntimeError("error writing to a sink") from error


class _Part(StatefulSinkPartition[MicroBatch, _S]):
    sink: ClassVar[str]

    def __init__(self, writer: BackgroundWriter, acknowledged: Callable[[], _S], release: Callable[[], None]) -> None:
        self._writer, self._acknowledged, self._release = writer, acknowledged, release

    def write_batch(self, values: list[MicroBatch]) -> None:
        with _failing_as_a_step():
            self._writer.submit(values)

    def snapshot(self) -> _S:
        timed_snapshot(self.sink, self._writer.barrier)
        return self._acknowledged()

    def close(self) -> None:
        self._release()


class _KafkaPart(_Part[InTopics]):
    sink = KAFKA


class _StorePart(_Part[InTables]):
    sink = STORE

    def write_batch(self, values: list[MicroBatch]) -> None:
        """Drops rejected records, which the database does not get, as a batch may be held for a second."""
        super().write_batch([replace(batch, rejects=NO_REFUSED, late=NO_REFUSED) for batch in values])


@dataclass
class _PerWorker(Generic[_W]):
    """The writer shared by the partitions of a worker: created for the first of them, closed after the last."""

    make: Callable[[], tuple[_W, BackgroundWriter]]
    _shared: dict[int, tuple[_W, BackgroundWriter]] = field(default_factory=dict, init=False)
    _users: dict[int, int] = field(default_factory=dict, init=False)

    def join(self, kind: type[_Part[_S]], resume: Callable[[_W], None], acknowledged: Callable[[_W], _S]) -> _Part[_S]:
        """Returns a new part of this worker, after the writer has resumed its progress."""
        worker = threading.get_ident()  # Bytewax runs each worker on a thread of its own
        if worker not in self._shared:
            self._shared[worker] = self.make()
        self._users[worker] = self._users.get(worker, 0) + 1
        writer, background = self._shared[worker]
        part = kind(background, lambda: acknowledged(writer), lambda: self._leave(worker))
        try:
            resume(writer)
        except BaseException:
            part.close()
            raise
        return part

    def _leave(self, worker: int) -> None:
        self._users[worker] -= 1
        if self._users[worker] == 0:
            _, background = self._shared.pop(worker)
            background.close()


@dataclass
class KafkaSink(FixedPartitionedSink[MicroBatch, InTopics]):
    """Output topics, written by one transactional producer for all partitions of a worker."""

    config: KafkaConfig
    identity: Callable[[], Identity]
    topics: dict[str, Records]
    confirm: Confirm
    mark: Mark
    parts: _Parts
    first_row: int = 0
    progress: Callable[[KafkaConfig, Identity], OutputProgress] = InOutputs

    def __post_init__(self) -> None:
        self._per_worker = _PerWorker(self._make)

    def list_parts(self) -> list[str]:
        return self.parts()

    def part_fn(self, item_key: str) -> int:
        return partition_of(item_key)

    def build_part(self, step_id: str, for_part: str, resume_state: InTopics | None) -> _Part[InTopics]:
        partition = partition_of(for_part)
        known = {Place(*place): Written(*last) for place, last in (resume_state or {}).items()}

        def acknowledged(writer: TransactionalWriter) -> InTopics:
            last_of = writer.acknowledged(partition)
            return {(place.topic, place.partition): (last.offset, last.cause) for place, last in last_of.items()}

        return self._per_worker.join(_KafkaPart, lambda writer: writer.add(partition, known), acknowledged)

    def _make(self) -> tuple[TransactionalWriter, BackgroundWriter]:
        identity = self.identity()
        progress = self.progress(self.config, identity)
        writer = TransactionalWriter(self.config, identity, self.topics, self.confirm, self.mark, progress=progress)
        write = noted(KAFKA, written(KAFKA, writer.write, writer.leaves), self.first_row)
        return writer, BackgroundWriter(KAFKA, write, writer.close)


@dataclass
class TimescaleSink(FixedPartitionedSink[MicroBatch, InTables]):
    """The database, written over one connection that all partitions of a worker share."""

    open_writer: Callable[[int], StoreWriter]  # takes the number of partitions
    parts: _Parts
    first_row: int = 0

    def __post_init__(self) -> None:
        self._per_worker = _PerWorker(self._make)

    def list_parts(self) -> list[str]:
        return self.parts()

    def part_fn(self, item_key: str) -> int:
        return partition_of(item_key)

    def build_part(self, step_id: str, for_part: str, resume_state: InTables | None) -> _Part[InTables]:
        known = {source: Reached(*at) for source, at in (resume_state or {}).items()}

        def acknowledged(store: StoreWriter) -> InTables:
            return {source: (at.first_offset, at.next_offset) for source, at in store.writer.reached.items()}

        return self._per_worker.join(_StorePart, lambda store: store.resume(known), acknowledged)

    def _make(self) -> tuple[StoreWriter, BackgroundWriter]:
        store = self.open_writer(len(self.parts()))
        write = noted(STORE, written(STORE, store.write), self.first_row)
        return store, BackgroundWriter(STORE, write, store.close)


@dataclass(frozen=True)
class HeartbeatSink(DynamicSink[tuple[str, MicroBatch]]):
    """Appends due heartbeats to the partition they concern, so that the log itself advances event time."""

    config: KafkaConfig
    confirm: Confirm
    encode: EncodeHeartbeat = event_heartbeat

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _HeartbeatPart:
        return _HeartbeatPart(HeartbeatWriter(self.config, self.encode), self.confirm)


class _HeartbeatPart(StatelessSinkPartition[tuple[str, MicroBatch]]):
    def __init__(self, writer: HeartbeatWriter, confirm: Confirm) -> None:
        self._writer, self._confirm = writer, confirm

    def write_batch(self, items: list[tuple[str, MicroBatch]]) -> None:
        with _failing_as_a_step():
            for batch in _with_heartbeats(items):
                self._confirm([batch])
                for provider, src_ts in batch.heartbeats.iter_rows():
                    self._writer.append(batch.topic, batch.partition, provider, src_ts)
            self._writer.poll()


def _with_heartbeats(items: Sequence[tuple[str, MicroBatch]]) -> list[MicroBatch]:
    return [batch for _, batch in items if batch.heartbeats.height]
