"""Redrives each refused event once, fixed if there is a fix, and marks it in the same transaction."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import msgspec

from connectors import pacing
from contracts.errors import MdpError
from flows.sender import sender
from mdp.ops.dlq.fixes import Fix
from mdp.ops.dlq.marks import Mark, Marks, Origin
from mdp.ops.dlq.plan import Account, Outgoing, Plan, slices
from mdp.ops.dlq.records import Chosen, Dlq
from mdp.ops.originals import Originals
from telemetry.bus import note_produced
from transports.kafka.config import KafkaConfig
from transports.kafka.delivering import OutgoingRecord
from transports.kafka.errors import Fenced, Forbidden, KafkaUnavailable, RecordTooLarge
from transports.kafka.topic_reader import TopicReader
from transports.kafka.topics import partitions_of
from transports.kafka.transactions import Transactions

_SHOWN: Final = 20


class RedriveError(MdpError):
    """The redrive has stopped; exactly the marked events have been sent."""


class Overtaken(RedriveError):  # noqa: N818 - says what happened
    """Another redrive has begun."""


class Interrupted(RedriveError):  # noqa: N818 - says what happened
    """Kafka did not answer; what was sent is marked."""

    passes = True


class EventTooLargeError(RedriveError):
    """The events topic does not accept a record of this size."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to redrive, and how.

    Attributes:
        fix: fixes each event; None sends them unchanged.
        max_retries: events redriven this often before are skipped.
        limit: maximum number of events to send.
    """

    chosen: Chosen
    fix: Fix | None = None
    max_retries: int = 3
    limit: int | None = None

    def plan(self, config: KafkaConfig, marks: Marks, originals: Originals) -> Plan:
        partitions = len(partitions_of(config, config.topic))
        return Plan(config.topic, partitions, marks, originals, self.max_retries, self.fix, self.limit)


def rehearsed(config: KafkaConfig, order: Order) -> tuple[Account, list[Outgoing]]:
    """Returns what `sent` would do, and the first events that it would send.

    Raises:
        SourceError: a topic cannot be read.
    """
    with TopicReader(config, config.dlq_topic) as reader, Originals(config, config.topic) as originals:
        dlq = Dlq(reader)
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
    """Send the chosen events, `rate` of them per second; return their outcome.

    Raises:
        SourceError, RedriveError: a topic cannot be read, or does not accept the events.
    """
    with TopicReader(config, config.dlq_topic) as reader, Originals(config, config.topic) as originals:
        redriver = Redriver(config)  # before the marks are read: it aborts another one's open transaction
        dlq = Dlq(reader)
        plan = order.plan(config, dlq.marks, originals)
        for events in slices(plan.outgoing(dlq.records(order.chosen)), rate, pacing.WallClock(stop)):
            send_slice(redriver, events, plan)
            on_progress(plan.account.sent)
    return plan.account


def send_slice(redriver: Redriver, events: Sequence[Outgoing], plan: Plan) -> None:
    """Send all events of a plan but those larger than the topic accepts, and take in their marks."""
    try:
        marks = redriver.send(events)
    except EventTooLargeError:
        middle = len(events) // 2
        if middle:
            send_slice(redriver, events[:middle], plan)
            send_slice(redriver, events[middle:], plan)
        else:
            plan.account.leave_as_too_large(events[0])
    else:
        plan.account.sent += len(events)
        for mark in marks:
            plan.marks.add(mark)


class Redriver:
    """Sends slices, one transaction each, with their marks. A second one for the same DLQ fences the first.

    Raises:
        RedriveError: Kafka does not accept the events, or another redrive has begun.
    """

    def __init__(self, config: KafkaConfig) -> None:
        self._topic, self._dlq = config.topic, config.dlq_topic
        self._sender = sender(f"redrive-{self._dlq}")
        with _as_redrive_errors():
            self._transactions = Transactions(config, f"redrive-{self._dlq}")

    def send(self, events: Sequence[Outgoing]) -> list[Mark]:
        """Commit the events and their marks."""
        flush = self._sender.headers(time.time_ns())
        with _as_redrive_errors(), self._transactions.begun():
            offsets = self._transactions.append(
                self._topic, [OutgoingRecord(one.partition, one.key, one.value, one.headers + flush) for one in events]
            )
            marks = [
                Mark(one.origin, Origin(self._topic, one.partition, offset, 0), one.retry_count)
                for one, offset in zip(events, offsets, strict=True)
            ]
            self._transactions.append(
                self._dlq,
                [
                    OutgoingRecord(
                        one.record.partition,
                        None,
                        msgspec.json.encode(mark),
                        mark.headers(one.record.failed_at, one.record.trace) + flush,
                    )
                    for one, mark in zip(events, marks, strict=True)
                ],
            )
        note_produced(self._topic, self._sender.producer, (one.headers for one in events), "retry")
        return marks


@contextmanager
def _as_redrive_errors() -> Iterator[None]:
    try:
        yield
    except RecordTooLarge as error:
        raise EventTooLargeError(str(error)) from None
    except Forbidden as error:
        raise RedriveError(str(error)) from None
    except Fenced:
        raise Overtaken("another redrive of this DLQ has begun: wait until it ends, then run this again") from None
    except KafkaUnavailable as error:
        raise Interrupted(
            f"Kafka does not accept the events: {error}; events already sent are marked, so run it again"
        ) from None
