"""Sends refused events back by itself: those whose reason may pass, and those for which a fix is configured."""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType
from typing import Final, Self

from connectors import pacing
from flows.dlq_section import AutoRule, AutoSection
from mdp.ops.dlq import fixes
from mdp.ops.dlq.plan import Account, slices
from mdp.ops.dlq.records import Chosen, Dlq, record
from mdp.ops.dlq.redrive import Order, Overtaken, Redriver, send_slice
from mdp.ops.dlq.waiting import Waiting
from mdp.ops.leading import Service
from mdp.ops.originals import Originals
from telemetry.metrics import DLQ_PARKED, DLQ_WAITING, RETRIES
from transports.kafka.config import KafkaConfig
from transports.kafka.errors import Fenced
from transports.kafka.topic_reader import TopicReader

_TURN_SECONDS: Final = 1.0  # about as long as it sends before it looks whether it is still the one that works
_FENCED_SECONDS: Final = 60.0  # a redrive by hand goes first

log = logging.getLogger("mdp.dlq")


def service(kafka: KafkaConfig, auto: AutoSection, stop: threading.Event) -> Service:
    """The service of a DLQ.

    Raises:
        FixError: a fix is invalid.
    """
    orders = {rule.reason: _order(rule) for rule in auto.rules}

    def begin() -> AutoRedrive:
        return AutoRedrive(kafka, auto, orders, stop)

    group = f"mdp-dlq-auto-{kafka.dlq_topic}"
    return Service("auto-redrive", kafka.dlq_topic, group, begin, auto.interval_s, _FENCED_SECONDS)


def _order(rule: AutoRule) -> Order:
    try:
        fix = fixes.by_jq(rule.fix) if rule.fix is not None else None
        fix = fixes.by_entry_point(rule.fix_with) if rule.fix_with is not None else fix
    except fixes.FixError as error:
        raise fixes.FixError(f"dlq.auto.rules, {rule.reason}: {error}") from None
    return Order(Chosen(reason=rule.reason), fix, rule.max_retries)


class AutoRedrive:
    """A shift: reads the DLQ once, then what comes in, and sends back what is due.

    Raises:
        Fenced: another redrive has begun.
        SourceError, RedriveError: a topic cannot be read, or does not accept the events.
    """

    def __init__(self, kafka: KafkaConfig, auto: AutoSection, orders: dict[str, Order], stop: threading.Event) -> None:
        self._kafka, self._auto, self._stop = kafka, auto, stop
        self._reader, self._originals = TopicReader(kafka, kafka.dlq_topic), Originals(kafka, kafka.topic)
        self._redriver = Redriver(kafka)  # before the marks are read: it aborts another one's open transaction
        self._marks = Dlq(self._reader).marks
        self._plans = {reason: order.plan(kafka, self._marks, self._originals) for reason, order in orders.items()}
        self._waiting = Waiting({rule.reason: rule for rule in auto.rules}, auto.max_waiting)
        self._next = dict.fromkeys(self._reader.partitions, 0)
        self._said: tuple[int, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._say()
        self._reader.close()
        self._originals.close()

    @property
    def account(self) -> Account:
        """What became of the records so far."""
        total = Account()
        for plan in self._plans.values():
            total += plan.account
        return total

    def work(self) -> float | None:
        """Send some of what is due. The DLQ is read on when records that wait have made room."""
        try:
            self._read_on()
            begun, before = time.monotonic(), self.account.sent
            if self._send_due():
                seconds = (self.account.sent - before) / self._auto.rate
                return max(0.0, begun + seconds - time.monotonic())
            self._say()
            return None
        except Overtaken as error:
            raise Fenced(str(error)) from None
        finally:
            self._count()

    def _read_on(self) -> None:
        """Take in new records, as long as there is room."""
        for partition in self._reader.partitions:
            low, end = self._reader.bounds(partition)
            for messages in self._reader.span(partition, max(low, self._next[partition]), end):
                for message in messages:
                    if self._waiting.is_full:
                        return
                    found = record(message, self._marks)
                    if found is not None:
                        self._waiting.add(found, time.time_ns())
                    self._next[partition] = (message.offset() or 0) + 1
            self._next[partition] = max(self._next[partition], end)

    def _send_due(self) -> bool:
        """Send what is due now; return whether anything was."""
        due = self._waiting.due(time.time_ns(), max(1, int(self._auto.rate * _TURN_SECONDS)))
        for reason, records in due.items():
            plan, clock = self._plans[reason], pacing.WallClock(self._stop)
            for events in slices(plan.outgoing(records), self._auto.rate, clock):
                before = plan.account.sent
                send_slice(self._redriver, events, plan)
                RETRIES.labels(self._kafka.topic, reason).inc(plan.account.sent - before)
        return bool(due)

    def _count(self) -> None:
        """Set the metrics."""
        for reason, plan in self._plans.items():
            DLQ_PARKED.labels(reason).set(plan.account.left)
        DLQ_WAITING.set(len(self._waiting))

    def _say(self) -> None:
        """Log a line if anything has changed."""
        account = self.account
        counts = account.sent, len(self._waiting), account.left
        if counts != self._said:
            self._said = counts
            log.info("%d events sent back, %d wait for their retry, %d stay in the DLQ", *counts)
