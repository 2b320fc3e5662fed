"""Progress of the flow through its log, read back from the output topics themselves."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from codec.output_records import Cause, Identity
from contracts.errors import MdpError
from transports.kafka.config import KafkaConfig
from transports.kafka.first_contact import EAGER, connected
from transports.kafka.open_transactions import OpenTransaction


class Place(NamedTuple):
    """A partition of an output topic."""

    topic: str
    partition: int


class _Found(NamedTuple):
    """A record of the flow: its offset, and the cause that its headers state."""

    offset: int
    cause: Cause


class _Span(NamedTuple):
    """A range of offsets, the end excluded."""

    begin: int
    end: int


NOTHING: Final[Cause] = (-1, -1)
_FIRST_STEP: Final = 64
_SECONDS: Final = 10.0
_OPEN_SECONDS: Final = 1.0  # far longer than the transaction of a live writer takes
_LOOK_SECONDS: Final = 0.02
_RECOVERY_SECONDS: Final = 10.0
_AT_ONCE: Final = 32


class Impossible(MdpError):  # noqa: N818 - says what is wrong
    """An output topic holds a record that this flow cannot have written."""


def last_causes(config: KafkaConfig, identity: Identity, places: Sequence[Place]) -> dict[Place, Cause]:
    """Returns the cause of the flow's last committed record in each of these partitions of its output topics.

    Outputs are written in the order of the log, so everything up to it is there. Records of other origin and the
    control records of transactions are skipped by looking back further and further.

    Raises:
        Impossible: a record cannot come from the log that the flow reads.
    """
    committed, uncommitted = (_consumer(config, level) for level in ("read_committed", "read_uncommitted"))
    with closing(committed), closing(uncommitted):
        for consumer in (committed, uncommitted):
            connected(consumer, identity.topic)
        left = _bounds(config, committed, uncommitted, places)
        found, step = dict[Place, _Found](), _FIRST_STEP
        while left := {place: span for place, span in left.items() if span.end > span.begin}:
            looked_at = {place: _Span(max(span.begin, span.end - step), span.end) for place, span in left.items()}
            found |= _last_within(committed, looked_at, identity)
            left = {
                place: _Span(span.begin, looked_at[place].begin) for place, span in left.items() if place not in found
            }
            step *= 2
        for place, record in found.items():
            _check(uncommitted, identity, place, record)
        return dict.fromkeys(places, NOTHING) | {place: record.cause for place, record in found.items()}


def _consumer(config: KafkaConfig, isolation_level: str) -> Consumer:
    """A consumer that reads end offsets, too: a new admin client sometimes takes three seconds for that."""
    return Consumer(
        config.client(
            group_id=config.consumer_group,
            enable_auto_commit=False,
            enable_partition_eof=True,
            isolation_level=isolation_level,
            **EAGER,
            fetch_wait_max_ms=10,  # at the end of a partition no record is expected
        )
    )


def _bounds(
    config: KafkaConfig, committed: Consumer, uncommitted: Consumer, places: Sequence[Place]
) -> dict[Place, _Span]:
    """The range of each partition, once all transactions in it have ended."""
    deadline = time.monotonic() + _OPEN_SECONDS

    def bounds(place: Place) -> _Span:
        partition = TopicPartition(*place)
        _, end = uncommitted.get_watermark_offsets(partition, timeout=_SECONDS)
        while True:
            begin, committed_end = committed.get_watermark_offsets(partition, timeout=_SECONDS)
            if committed_end >= end:
                return _Span(begin, committed_end)
            # While a transaction is open, nothing after its first record can be read, not even our own records. Kafka
            # aborts the transaction of a dead writer after a minute.
            if time.monotonic() > deadline:
                transaction = OpenTransaction(*place, committed_end, end)
                where, remedy = f"{place.topic}[{place.partition}]", transaction.remedy(config)
                raise _timed_out(f"a transaction of another writer is open in {where}; {remedy}")
            time.sleep(_LOOK_SECONDS)

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return dict(zip(places, threads.map(bounds, places), strict=True))


def _check(consumer: Consumer, identity: Identity, place: Place, record: _Found) -> None:
    """Refuses a cause beyond the log's end, which would suppress all outputs up to it; a restarted broker may lag."""
    source, deadline = TopicPartition(identity.topic, place.partition), time.monotonic() + _RECOVERY_SECONDS
    while True:
        _, end = consumer.get_watermark_offsets(source, timeout=_SECONDS)
        if record.cause[0] < end:
            return
        if time.monotonic() > deadline:
            raise Impossible(
                f"{place.topic}[{place.partition}] holds at offset {record.offset} a record in this flow's name, "
                f"caused by {identity.topic}[{place.partition}] at offset {record.cause[0]}, but that ends at {end}: "
                f"another program has written it, or {identity.topic} has lost its end",
                f"allow no other program to write to {place.topic}, and delete its records up to that offset, "
                f"or write all outputs again under another --name",
            )
        time.sleep(_LOOK_SECONDS)


def _last_within(consumer: Consumer, spans: Mapping[Place, _Span], identity: Identity) -> dict[Place, _Found]:
    """The last record of the flow within each of these spans that has one."""
    consumer.assign([TopicPartition(*place, span.begin) for place, span in spans.items()])
    found: dict[Place, _Found] = {}
    left = set(spans)
    while left:
        message = consumer.poll(_SECONDS)
        if message is None:
            raise _timed_out(f"{', '.join(f'{topic}[{partition}]' for topic, partition in left)} cannot be read back")
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        place, offset = Place(str(message.topic()), int(message.partition() or 0)), int(message.offset() or 0)
        if error is not None or offset >= spans[place].end:
            left.discard(place)
        elif (cause := identity.cause_of(place.partition, message.headers())) is not None:
            found[place] = _Found(offset, cause)
    return found


def _timed_out(what: str) -> KafkaException:
    return KafkaException(KafkaError(KafkaError._TIMED_OUT, what))
