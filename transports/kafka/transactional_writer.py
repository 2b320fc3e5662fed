"""Writes signals, bars, rejects and late events to their topics: exactly once, one transaction per flush.

Partition i of the source writes to partition i of every output topic, or where the keys of its records lead. A new
writer of a partition fences the former one (`transports.kafka.claims`); then it reads back what is already written
(`transports.kafka.output_progress`) and skips it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer

from codec.output_records import DLQ_REASON, Cause, Identity, OutRecord, bar_records, refused_records, signal_records
from contracts.batch import BARS, SIGNALS, Confirm, MicroBatch
from contracts.progress import Loss, SetBack, Source
from contracts.schema_names import EVENT, SchemaName
from telemetry.bus import note_produced
from telemetry.metrics import DLQ_RECORDS
from telemetry.outage import wait_out
from transports.kafka.claims import Takeover
from transports.kafka.config import ClientOption, KafkaConfig
from transports.kafka.errors import REPLACED, Fenced, KafkaUnavailable, translated
from transports.kafka.lost_ends import Deliveries, Written, check_ends, lost_end
from transports.kafka.output_progress import InOutputs, OutputProgress
from transports.kafka.producing import backpressured
from transports.kafka.read_back import Place

_SECONDS = 30.0
_PRODUCER: dict[str, ClientOption] = {
    "compression_type": "lz4",
    "linger_ms": 0,
    # The topic limits the size of a record: every input record has to fit, and its headers make it longer.
    "message_max_bytes": 1_000_000_000,
    "partitioner": "murmur2",  # Kafka's default, so that producers in any language agree
}

_BY_KEY: Final = -1  # as a partition: the producer's partitioner chooses it
_NO_END: Final = 2**63 - 1
# Kafka keeps offsets, and so claims, for a week by default (offsets.retention.minutes).
_RENEWAL_SECONDS: Final = 12 * 3600.0

Records = Callable[[MicroBatch], Iterator[OutRecord]]
Mark = Callable[[Mapping[Source, Loss]], None]


_STREAMS: Final[Mapping[str, Records]] = {SIGNALS: signal_records, BARS: bar_records}


def outputs(config: KafkaConfig, streams: Collection[str], reads: SchemaName = EVENT) -> dict[str, Records]:
    """Output topics of a flow, and what of a batch goes to each.

    Args:
        config: of the bus.
        streams: the results that go to topics.
        reads: what the flow is fed with.
    """
    topics = config.result_topics
    return {
        config.dlq_topic: lambda batch: refused_records(batch.rejects, batch.topic, batch.partition, reads),
        config.late_topic: lambda batch: refused_records(batch.late, batch.topic, batch.partition, reads),
        **{topics[stream]: records for stream, records in _STREAMS.items() if stream in streams},
    }


class TransactionalWriter:
    """Writes the outputs of one worker's partitions, each flush in one transaction.

    Not thread-safe, except for `add`.

    Args:
        config: of the bus.
        identity: the flow in whose name it writes.
        topics: by topic, the records of a batch that go there.
        mark: records what the flow has to read again after a topic has lost its end.
        progress: how far the outputs are; None: in the outputs themselves.
    """

    def __init__(
        self,
        config: KafkaConfig,
        identity: Identity,
        topics: Mapping[str, Records],
        confirm: Confirm,
        mark: Mark,
        *,
        progress: OutputProgress | None = None,
    ) -> None:
        self._config, self._identity, self._topics = config, identity, topics
        self._confirm, self._mark = confirm, mark
        self._progress = progress or InOutputs(config, identity)
        self._partitions: set[int] = set()
        self._producer: Producer | None = None
        self._opened_at = 0.0
        self._names: set[str] = set()  # transactional ids under which it has, or may have, taken partitions over
        self._written: dict[Place, Cause] = {}
        self._acknowledged: dict[Place, Written] = {}

    def add(self, partition: int, acknowledged: Mapping[Place, Written]) -> None:
        """Adds a partition, and what topics have acknowledged of it to an earlier writer.

        Raises:
            SetBack: the topics no longer have it.
        """
        wait_out(lambda: self._check_ends(acknowledged), KafkaUnavailable, "Kafka")
        self._acknowledged = {**self._acknowledged, **acknowledged}
        self._partitions.add(partition)

    def acknowledged(self, partition: int) -> dict[Place, Written]:
        """The last acknowledged record of a partition in each output topic, as far as known."""
        return {place: last for place, last in self._acknowledged.items() if place.partition == partition}

    def write(self, batches: Sequence[MicroBatch]) -> None:
        """Commits the records of all batches that are not yet in the topics; waits while Kafka is unavailable.

        Raises:
            Fenced: another worker has taken one of the partitions over.
            SetBack: a topic has lost acknowledged records.
        """
        if self._topics and any(batch.rejects.height or batch.late.height or batch.has_results for batch in batches):
            self._confirm(batches)
            wait_out(lambda: self._write(batches), KafkaUnavailable, "Kafka")

    def leaves(self, batch: MicroBatch) -> bool:
        """Whether the batch has records of closed windows."""
        topics = self._config.result_topics
        return any(topics.get(stream) in self._topics and rows.height for stream, rows in batch.results.items())

    def close(self) -> None:
        self._producer = None

    def open(self) -> Producer:
        """Takes all partitions over: fences their former writers and reads back their progress.

        Raises:
            KafkaUnavailable: Kafka did not answer.
            Fenced: another worker has taken our partitions over.
        """
        self._producer = None
        partitions = sorted(self._partitions)
        with translated(), Takeover(self._config, self._identity, partitions) as takeover:
            former = takeover.lock()
            if any(former.get(place.partition, "") not in {*self._names, ""} for place in self._written):
                raise Fenced(REPLACED)
            takeover.fence({*former.values(), *self._names})
            name, producer = takeover.writer(**_PRODUCER)
            self._names.add(name)
            takeover.claim(name)
            places = [Place(topic, partition) for topic in self._topics for partition in partitions]
            self._check_ends(self._acknowledged)
            self._written = self._progress.read_back(places)
        self._producer, self._names, self._opened_at = producer, {name}, _boot_seconds()
        return producer

    def _write(self, batches: Sequence[MicroBatch]) -> None:
        producer = self._opened()
        new = {place: records for place, records in self._unwritten(batches).items() if records}
        if not new:
            return
        reached = {batch.partition: batch.next_offset for batch in batches}
        try:
            with translated():
                delivered = self._commit(producer, new, reached)
        except KafkaUnavailable:
            self._producer = None  # the outcome of this transaction is unknown: a new producer fences and reads back
            raise
        self._written |= {place: records[-1].cause for place, records in new.items()}
        self._acknowledged = self._acknowledged | {
            place: Written(delivered.last[place], self._written[place]) for place in new if place in delivered.last
        }
        read_at = {batch.partition: batch.read_at for batch in batches}
        for place, records in new.items():
            self._note(place, records, read_at[place.partition])

    def _note(self, place: Place, records: Sequence[OutRecord], read_at: int) -> None:
        """Counts what has been written because of what was read at that time, monotonic nanoseconds."""
        is_dlq = place.topic == self._config.dlq_topic
        latency_ms = (time.monotonic_ns() - read_at) / 1e6 if read_at else None
        headers = (record.headers for record in records)
        note_produced(place.topic, self._identity.sender.producer, headers, "dlq" if is_dlq else "ok", latency_ms)
        for record in records if is_dlq else ():
            DLQ_RECORDS.labels(record.header(DLQ_REASON)).inc()

    def _opened(self) -> Producer:
        """Renews claims, which Kafka would expire; without them the next writer would not know which one to fence."""
        if self._producer is None or _boot_seconds() - self._opened_at > _RENEWAL_SECONDS:
            return self.open()
        is_complete = self._partitions <= {place.partition for place in self._written}
        return self._producer if is_complete else self.open()

    def _unwritten(self, batches: Sequence[MicroBatch]) -> dict[Place, list[OutRecord]]:
        new: dict[Place, list[OutRecord]] = {}
        for batch in batches:
            for topic, records in self._topics.items():
                place = Place(topic, batch.partition)
                written = self._written[place]
                new.setdefault(place, []).extend(record for record in records(batch) if record.cause > written)
        return new

    def _commit(
        self, producer: Producer, new: Mapping[Place, Sequence[OutRecord]], reached: Mapping[int, int]
    ) -> Deliveries:
        produce, identity, delivered = backpressured(producer), self._identity, Deliveries()
        flush = identity.sender.headers(time.time_ns())
        producer.begin_transaction()
        for place, records in new.items():
            for number, record in enumerate(records):
                headers = [*record.headers, *identity.headers(place.partition, record.cause), *flush]
                is_reported = number in (0, len(records) - 1)  # a report of each would cost as much as producing it
                note = delivered.note if is_reported and record.is_placed else None
                partition = place.partition if record.is_placed else _BY_KEY
                produce(place.topic, record.value, record.key, partition, on_delivery=note, headers=headers)
        self._progress.commit(producer, reached)
        if producer.flush(_SECONDS):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "records were not acknowledged"))
        if lost := [place for place in new if self._is_before_the_end(place, delivered)]:
            producer.abort_transaction(_SECONDS)
            raise self._marked(lost_end(self._config, identity, self._acknowledged, lost))
        producer.commit_transaction(_SECONDS)
        return delivered

    def _is_before_the_end(self, place: Place, delivered: Deliveries) -> bool:
        """Whether records got offsets that were already acknowledged: the topic has lost its end."""
        return place in self._acknowledged and delivered.first.get(place, _NO_END) <= self._acknowledged[place].offset

    def _check_ends(self, acknowledged: Mapping[Place, Written]) -> None:
        if not acknowledged:
            return
        with translated():
            try:
                check_ends(self._config, self._identity, acknowledged)
            except SetBack as back:
                raise self._marked(back) from None

    def _marked(self, back: SetBack) -> SetBack:
        self._mark(back.losses)
        return back


def _boot_seconds() -> float:
    """Seconds since boot, including suspend where the system counts it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
