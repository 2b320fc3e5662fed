"""Reads ranges of a topic's partitions, for commands that inspect a topic rather than process it."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final, Self

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from transports.kafka.config import KafkaConfig
from transports.kafka.fetches import MODERATE
from transports.kafka.open_transactions import LONG_SECONDS, OpenTransaction
from transports.kafka.topics import BrokerUnavailable, SourceError, log_ends, partitions_of
from transports.kafka.unreadable import UNREADABLE, after_unreadable

__all__ = ["Message", "TopicReader"]

_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.2  # so that an interrupt takes effect soon
_BATCH: Final = 10_000
_OPEN_SECONDS: Final = 70.0  # Kafka aborts the transaction of a dead writer after a minute
_LOOK_SECONDS: Final = 0.05
_NEWS: Final = frozenset(
    {KafkaError._PARTITION_EOF, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT}
)

log = logging.getLogger("mdp.sources")


class TopicReader:
    """A consumer outside of any group: it assigns itself its partitions, and commits nothing.

    Raises:
        SourceError: no broker answers, or the topic does not exist.
    """

    def __init__(self, config: KafkaConfig, topic: str) -> None:
        self.topic, self._config = topic, config
        self.partitions = partitions_of(config, topic)
        self._consumer = Consumer(
            config.client(
                group_id=f"mdp-reader-{uuid.uuid4().hex}",
                enable_auto_commit=False,
                enable_partition_eof=True,
                isolation_level="read_committed",
                auto_offset_reset="earliest",
                queued_max_messages_kbytes=16_384,
                **MODERATE,
                fetch_queue_backoff_ms=5,
                fetch_wait_max_ms=10,  # an assignment waits until the broker has answered the fetch before it
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._consumer.close()

    def bounds(self, partition: int) -> tuple[int, int]:
        """The first offset of the partition, and the end of what can be read now, in front of open transactions."""
        low, high = self._consumer.get_watermark_offsets(TopicPartition(self.topic, partition), timeout=_SECONDS)
        return low, high

    def settled_bounds(self) -> dict[int, tuple[int, int]]:
        """The first offset and the end of each partition, once all transactions in front of its present end have ended.

        Raises:
            SourceError: one stays open.
        """
        ends = log_ends(self._config, self.topic, self.partitions)
        return {partition: self._settled(partition, end) for partition, end in ends.items()}

    def _settled(self, partition: int, end: int) -> tuple[int, int]:
        begun, is_told = time.monotonic(), False
        while True:
            low, high = self.bounds(partition)
            if high >= end:
                return low, high
            transaction, waited = OpenTransaction(self.topic, partition, high, end), time.monotonic() - begun
            if waited > _OPEN_SECONDS:
                raise SourceError(str(transaction), transaction.remedy(self._config))
            if waited > LONG_SECONDS and not is_told:
                is_told = True
                log.warning("%s: waiting for its end", transaction)
            time.sleep(_LOOK_SECONDS)

    def offset_at(self, partition: int, time_ns: int) -> int:
        """The first offset whose record has this timestamp or a later one; the end offset if there is none."""
        asked = TopicPartition(self.topic, partition, max(time_ns // 1_000_000, 0))
        offset: int = self._consumer.offsets_for_times([asked], timeout=_SECONDS)[0].offset
        return offset if offset >= 0 else self.bounds(partition)[1]

    def span(self, partition: int, start: int, end: int) -> Iterator[list[Message]]:
        """Yield the committed records with start ≤ offset < end, in batches."""
        if start >= end:
            return
        self._consumer.assign([TopicPartition(self.topic, partition, start)])
        heard = time.monotonic()
        while True:
            messages = self._fetched()
            if messages:
                heard = time.monotonic()
            elif time.monotonic() - heard > _SECONDS:
                raise BrokerUnavailable(
                    f"{self.topic}[{partition}] did not answer for {_SECONDS:.0f} s: is the broker up?"
                )
            news = [message for message in messages if message.error() is not None]
            records = [message for message in messages if _is_record(message)] if news else messages
            is_last = bool(records) and _offset(records[-1]) >= end - 1
            inside = [message for message in records if _offset(message) < end] if is_last else records
            if inside:
                yield inside
            # The last offsets may be control records, which no consumer sees: then the end of the partition decides.
            if is_last or any(map(_is_end, news)) or self._step_over(news) >= end:
                return

    def follow(self, starts: dict[int, int]) -> Iterator[list[Message]]:
        """Yield the records of the partitions from these offsets on, as they arrive, for ever."""
        self._consumer.assign([TopicPartition(self.topic, partition, start) for partition, start in starts.items()])
        while True:
            messages = self._fetched()
            records = list(filter(_is_record, messages))
            if records:
                yield records
            self._step_over(messages)

    def _step_over(self, messages: Sequence[Message]) -> int:
        """Skip the first batch that cannot be unpacked; return its index, or -1 if there is none."""
        for message in messages:
            error = message.error()
            if error is not None and error.code() in UNREADABLE:
                place = TopicPartition(self.topic, message.partition() or 0, _offset(message))
                place.offset = after_unreadable(self._config, place, place.offset, error)
                self._consumer.seek(place)
                return place.offset
        return -1

    def _fetched(self) -> list[Message]:
        """Return messages as soon as any have arrived: `consume` alone would wait for a whole batch."""
        first = self._consumer.poll(_POLL_SECONDS)
        return [] if first is None else [first, *self._consumer.consume(_BATCH - 1, timeout=0)]


def _is_record(message: Message) -> bool:
    """Whether it is a record, rather than the end of a partition or a lost broker."""
    error = message.error()
    if error is not None and error.code() not in _NEWS | UNREADABLE and not error.retriable():
        raise SourceError(f"cannot read {message.topic()}[{message.partition()}]: {error.str()}")
    return error is None


def _is_end(message: Message) -> bool:
    error = message.error()
    return error is not None and error.code() == KafkaError._PARTITION_EOF


def _offset(message: Message) -> int:
    offset = message.offset()
    return -1 if offset is None else offset
