"""Signals, bars, rejects and late events to their topics: exactly once, one transaction per flush.

Partition i of the source writes to partition i of every output topic. Its transactional.id is fixed, so that a new
owner fences the old one; then it reads back what is already there and leaves it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer

from contracts.batch import MicroBatch
from contracts.bus_config import ClientOption, KafkaConfig
from contracts.errors import MdpError
from contracts.producing import backpressured
from sinks.read_back import last_causes
from sinks.records import DLQ_REASON, Cause, Identity, OutRecord, bar_records, refused_records, signal_records
from telemetry.metrics import DLQ_RECORDS
from telemetry.outage import wait_out

_SECONDS = 30.0
FORBIDDEN: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
_PRODUCER: dict[str, ClientOption] = {
    "compression_type": "lz4",
    "linger_ms": 0,
    "retry_backoff_ms": 5,  # the broker asks for patience when one transaction follows another at once
    # How large a record may be is for the topic to say: what came in has to fit, and is longer now by its headers.
    "message_max_bytes": 1_000_000_000,
}

_FENCED: Final = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH})

Records = Callable[[MicroBatch], Iterator[OutRecord]]


class Fenced(MdpError):  # noqa: N818 - says what happened
    """Another worker has taken over this partition."""


class RecordTooLarge(MdpError):  # noqa: N818 - says what is wrong
    """A topic does not take what the events topic took; waiting would not help."""


class Forbidden(MdpError):  # noqa: N818 - says what is wrong
    """The broker does not let this user do it."""


class KafkaUnavailable(MdpError):  # noqa: N818 - says what is wrong
    """The transaction did not go through; writing the same batches again is safe."""

    passes = True

    @property
    def line(self) -> str:
        return f"Kafka: {self}"


def outputs(config: KafkaConfig, *, signals: bool, bars: bool) -> dict[str, Records]:
    """Output topics of a flow, and what of a batch goes to each."""
    topics: dict[str, Records] = {
        config.dlq_topic: lambda batch: refused_records(batch.rejects),
        config.late_topic: lambda batch: refused_records(batch.late),
    }
    if signals:
        topics[config.signals_topic] = signal_records
    if bars:
        topics[config.bars_topic] = bar_records
    return topics


class TransactionalWriter:
    """Writes the outputs of one source partition."""

    def __init__(self, config: KafkaConfig, identity: Identity, topics: Mapping[str, Records]) -> None:
        self._config, self._identity, self._topics = config, identity, topics
        self._producer: Producer | None = None
        self._written: dict[str, Cause] = {}

    def write(self, batches: Sequence[MicroBatch]) -> None:
        """Commits the records of all batches that are not yet in the topics; waits while Kafka is away."""
        if self._topics and any(
            batch.rejects.height or batch.late.height or batch.signals.height or batch.bars.height for batch in batches
        ):
            wait_out(lambda: self._write(batches), KafkaUnavailable, "Kafka")

    def leaves(self, batch: MicroBatch) -> bool:
        """Whether the batch has records that windows have led to, as their closing did."""
        sources = {self._config.signals_topic: batch.signals, self._config.bars_topic: batch.bars}
        return any(topic in self._topics and frame.height for topic, frame in sources.items())

    def close(self) -> None:
        self._producer = None

    def open(self) -> None:
        """Takes the partition over: fences its former owner, and reads back how far that one came.

        Raises:
            KafkaUnavailable: Kafka did not answer.
        """
        identity = self._identity.transactional_id
        producer = Producer(self._config.client(transactional_id=identity, **_PRODUCER))
        with _translated_errors():
            producer.init_transactions(_SECONDS)
            self._written = last_causes(self._config, self._topics, self._identity)
        self._producer = producer

    def _write(self, batches: Sequence[MicroBatch]) -> None:
        if self._producer is None:
            self.open()
        new = {topic: self._unwritten(topic, records, batches) for topic, records in self._topics.items()}
        if not any(new.values()) or self._producer is None:
            return
        try:
            with _translated_errors():
                self._commit(self._producer, new)
        except KafkaUnavailable:
            self._producer = None  # a new one fences what may have become of this transaction, and looks
            raise
        self._written |= {topic: records[-1].cause for topic, records in new.items() if records}
        for record in new.get(self._config.dlq_topic, ()):
            DLQ_RECORDS.labels(record.header(DLQ_REASON)).inc()

    def _unwritten(self, topic: str, records: Records, batches: Sequence[MicroBatch]) -> list[OutRecord]:
        written = self._written[topic]
        return [record for record in chain.from_iterable(map(records, batches)) if record.cause > written]

    def _commit(self, producer: Producer, new: Mapping[str, Sequence[OutRecord]]) -> None:
        produce, identity = backpressured(producer), self._identity
        producer.begin_transaction()
        for topic, records in new.items():
            for record in records:
                headers = [*record.headers, *identity.headers(record.cause)]
                produce(topic, record.value, record.key, identity.partition, headers=headers)
        producer.commit_transaction(_SECONDS)


def is_fenced(error: KafkaError) -> bool:
    """Whether another producer has taken the transactional id. What is FORBIDDEN is fatal too, and is no such case."""
    return error.fatal() or error.code() in _FENCED


class _translated_errors:  # noqa: N801 - used as a statement
    """KafkaException as Forbidden, Fenced, RecordTooLarge or KafkaUnavailable."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if not isinstance(error, KafkaException):
            return
        cause: KafkaError = error.args[0]
        if cause.code() in FORBIDDEN:
            raise Forbidden(f"Kafka does not let this user write: {cause.str()}; grant what is asked for") from None
        if is_fenced(cause):
            raise Fenced("another worker of this flow has taken over; only one may run at a time") from None
        if cause.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            raise RecordTooLarge(
                "an output topic refuses a record for its size; "
                "give it a max.message.bytes above that of the events topic, as configs/topics.yaml does"
            ) from None
        raise KafkaUnavailable(cause.str()) from None
