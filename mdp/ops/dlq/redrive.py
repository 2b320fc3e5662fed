"""Back to the events topic: each refused event once, mended if there is a fix, and marked in the same transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors import pacing
from contracts.errors import MdpError
from mdp.ops.dlq.fixes import Fix
from mdp.ops.dlq.marks import MARK_HEADERS, Mark, Marks, Origin
from mdp.ops.dlq.plan import Account, Outgoing, Plan, slices
from mdp.ops.dlq.records import Chosen, Dlq
from mdp.ops.originals import Originals
from transports.kafka.config import ClientOption, KafkaConfig
from transports.kafka.producing import backpressured
from transports.kafka.topic_reader import TopicReader
from transports.kafka.topics import partitions_of
from transports.kafka.transactional_writer import FORBIDDEN, is_fenced

_SHOWN: Final = 20
_SECONDS: Final = 30.0
_TOO_LARGE: Final = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})
_PRODUCER: Final[dict[str, ClientOption]] = {
    "compression_type": "zstd",  # what only compression had made small enough for the topic has to fit again
    "linger_ms": 0,
    "message_max_bytes": 1_000_000_000,  # for the topic to say
    # As long as a transaction is open, nobody reads the events after it: one that is left behind has to end soon.
    "transaction_timeout_ms": 10_000,
}


class RedriveError(MdpError):
    """The redrive cannot go on; what is marked has been sent, and nothing else has."""


class EventTooLargeError(RedriveError):
    """The events topic takes no record of this size."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be redriven, and how.

    Attributes:
        fix: mends each event; None sends them as they came.
        max_retries: what has been redriven so often before is left.
        limit: most events to send.
    """

    chosen: Chosen
    fix: Fix | None = None
    max_retries: int = 3
    limit: int | None = None

    def plan(self, config: KafkaConfig, marks: Marks, originals: Originals) -> Plan:
        partitions = len(partitions_of(config, config.topic))
        return Plan(config.topic, partitions, marks, originals, self.max_retries, self.fix, self.limit)


def rehearsed(config: KafkaConfig, order: Order) -> tuple[Account, list[Outgoing]]:
    """What `sent` would do, and the first events that it would send.

    Raises:
        SourceError: a topic cannot be read.
    """
    with TopicReader(config, config.dlq_topic) as reader, Originals(config, config.topic) as originals:
        dlq = Dlq(config, reader)
        plan = order.plan(config, dlq.marks, originals)
        first: list[Outgoing] = []
        for one in plan.outgoing(dlq.records(order.chosen)):
            plan.account.sent += 1
            if len(first) < _SHOWN:
                first.append(one)
    return plan.account, first


def sent(
    config: KafkaConfig,
    order: Order,
    rate: float | None,
    stop: threading.Event,
    *,
    on_progress: Callable[[int], None],
) -> Account:
    """Send the chosen events, `rate` of them per second; what became of them.

    Raises:
        SourceError, RedriveError: a topic cannot be read, or does not take the events.
    """
    with TopicReader(config, config.dlq_topic) as reader, Originals(config, config.topic) as originals:
        redriver = Redriver(config)  # before the marks are read: it ends what another one has begun
        dlq = Dlq(config, reader)
        plan = order.plan(config, dlq.marks, originals)
        for events in slices(plan.outgoing(dlq.records(order.chosen)), rate, pacing.WallClock(stop)):
            _send(redriver, events, plan.account)
            on_progress(plan.account.sent)
    return plan.account


def _send(redriver: Redriver, events: Sequence[Outgoing], account: Account) -> None:
    """All but what is larger than the topic takes."""
    try:
        redriver.send(events)
    except EventTooLargeError:
        middle = len(events) // 2
        if middle:
            _send(redriver, events[:middle], account)
            _send(redriver, events[middle:], account)
        else:
            account.leave_as_too_large(events[0])
    else:
        account.sent += len(events)


class Redriver:
    """Sends slices, one transaction each, with their marks. A second one for the same DLQ fences the first.

    Raises:
        RedriveError: Kafka does not take the events, or another redrive has begun.
    """

    def __init__(self, config: KafkaConfig) -> None:
        self._config, self._topic, self._dlq = config, config.topic, config.dlq_topic
        self._open()

    def _open(self) -> None:
        self._producer = Producer(self._config.client(transactional_id=f"redrive-{self._dlq}", **_PRODUCER))
        with _told():
            self._producer.init_transactions(_SECONDS)

    def send(self, events: Sequence[Outgoing]) -> list[Mark]:
        """Commit the events and their marks."""
        with _told():
            self._producer.begin_transaction()
            try:
                marks = self._produce(events)
                self._producer.commit_transaction(_SECONDS)
            except KafkaException as error:
                if not error.args[0].fatal():
                    self._producer.abort_transaction(_SECONDS)
                if error.args[0].code() in _TOO_LARGE:
                    self._open()  # the client has lost count of its sequence numbers, and would fail once more
                raise
        return marks

    def _produce(self, events: Sequence[Outgoing]) -> list[Mark]:
        places, produce = _Places(), backpressured(self._producer)
        for number, one in enumerate(events):
            note = partial(places.note, number)
            produce(self._topic, one.value, one.key, one.partition, note, headers=one.headers)
        self._flush()
        marks = [
            Mark(one.origin, Origin(self._topic, one.partition, offset, 0), one.retry_count)
            for one, offset in zip(events, places.offsets(), strict=True)
        ]
        for one, mark in zip(events, marks, strict=True):
            value = msgspec.json.encode(mark)
            produce(self._dlq, value, None, one.record.partition, headers=MARK_HEADERS)
        return marks

    def _flush(self) -> None:
        try:
            left = self._producer.flush(_SECONDS)
        except SystemError as error:  # the client raises what is fatal in the midst of its delivery reports
            if isinstance(error.__cause__, KafkaException):
                raise error.__cause__ from None
            raise
        if left:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no acknowledgement came"))


class _Places:
    """Where the events of a slice have come to lie."""

    def __init__(self) -> None:
        self._offsets: dict[int, int] = {}
        self._failure: KafkaError | None = None

    def note(self, number: int, error: KafkaError | None, message: Message) -> None:
        self._failure = self._failure or error
        self._offsets[number] = message.offset() or 0

    def offsets(self) -> list[int]:
        """In the order of the events."""
        if self._failure is not None:
            raise KafkaException(self._failure)
        return [offset for _, offset in sorted(self._offsets.items())]


class _told:  # noqa: N801 - used as a statement
    """KafkaException as RedriveError."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if not isinstance(error, KafkaException):
            return
        cause: KafkaError = error.args[0]
        if cause.code() in _TOO_LARGE:
            raise EventTooLargeError(cause.str()) from None
        if cause.code() in FORBIDDEN:
            raise RedriveError(
                f"Kafka does not let this user redrive: {cause.str()}; grant what is asked for"
            ) from None
        if is_fenced(cause):
            raise RedriveError("another redrive of this DLQ has begun: let it end, then run this again") from None
        raise RedriveError(
            f"Kafka does not take the events: {cause.str()}; what had been sent is marked, so run it again"
        ) from None
