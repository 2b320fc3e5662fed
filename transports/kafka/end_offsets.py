"""Polls the broker for the end offset of each partition: a partition is quiet only if the broker has confirmed it.

The end is that of the log, open transactions included: a record that has been written and cannot be read yet is no
silence.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec  # its own package does not export it to type checkers

from telemetry.outage import Outage
from transports.kafka.config import KafkaConfig
from transports.kafka.open_transactions import TransactionWatch

_CONFIRMATIONS_PER_TIMEOUT: Final = 4
_LONGEST_SECONDS: Final = 5.0  # so that an outage is noticed even while backpressure keeps the flow from reading

Lag = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Confirmation:
    """At `asked_at` a partition ended at `end`; the broker had answered without interruption since `unbroken_since`.

    Times are nanoseconds of the monotonic clock.
    """

    unbroken_since: int
    asked_at: int
    end: int


@dataclass
class EndOffsets:
    """A background thread that keeps the latest confirmation of each partition, and finds open transactions.

    A request that fails, or takes longer than the idle time to be measured, restarts the chain: an outage is not
    silence.
    """

    config: KafkaConfig
    topic: str
    timeout_ns: int
    outage: Outage
    _latest: dict[int, Confirmation] = field(default_factory=dict, init=False)
    _lags: Mapping[int, Lag] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _stopped: threading.Event | None = field(default=None, init=False)  # of the thread; None without one

    def watch(self, partition: int, lag: Lag) -> None:
        """Adds a partition; the first one starts the thread.

        Args:
            partition: its number.
            lag: returns how many offsets before its latest end are unread.
        """
        with self._lock:  # worker threads of one process share the source
            self._lags = {**self._lags, partition: lag}
            if self._stopped is None:
                self._stopped = threading.Event()
                threading.Thread(target=self._run, args=[self._stopped], name="end-offsets", daemon=True).start()

    def leave(self, partition: int) -> None:
        """Removes a partition; the last one stops the thread."""
        with self._lock:
            self._lags = {number: lag for number, lag in self._lags.items() if number != partition}
            if not self._lags and self._stopped is not None:
                self._stopped.set()
                self._stopped = None

    def latest(self, partition: int) -> Confirmation | None:
        return self._latest.get(partition)

    def _run(self, stopped: threading.Event) -> None:
        admin, transactions = AdminClient(self.config.client()), TransactionWatch(self.config, self.topic)
        period = min(self.timeout_ns / _CONFIRMATIONS_PER_TIMEOUT / 1e9, _LONGEST_SECONDS)
        unbroken_since, answered_at = 0, 0
        while not stopped.wait(period):
            asked_at = time.monotonic_ns()
            if asked_at - answered_at > self.timeout_ns:
                unbroken_since = asked_at
            lags = self._lags
            # Only what is not read up to its end of a period ago can be blocked: usually nothing, and nothing is asked.
            unread = [partition for partition, lag in lags.items() if lag()]
            ends = self._ask(admin, lags, IsolationLevel.READ_UNCOMMITTED)
            stable = None if ends is None else self._ask(admin, unread, IsolationLevel.READ_COMMITTED)
            if ends is None or stable is None:  # a client from before a broker's restart may be refused for ever
                admin = AdminClient(self.config.client())
                continue
            self.outage.end()
            answered_at = time.monotonic_ns()
            transactions.note(ends, stable)
            confirmed = {p: Confirmation(unbroken_since, asked_at, end) for p, end in ends.items()}
            self._latest = {**self._latest, **confirmed}

    def _ask(self, admin: AdminClient, partitions: Collection[int], level: IsolationLevel) -> dict[int, int] | None:
        """The ends of these partitions at an isolation level; None if the broker does not say."""
        wanted = {TopicPartition(self.topic, partition): OffsetSpec.latest() for partition in partitions}
        if not wanted:
            return {}
        try:
            futures = admin.list_offsets(
                wanted, isolation_level=level, request_timeout=min(self.timeout_ns / 1e9, _LONGEST_SECONDS)
            )
        except KafkaException as error:
            self.outage.begin(error.args[0].str())
            return None
        # An exception raised here would form a reference cycle with this frame, and keep the client and its threads.
        failure = next(filter(None, [future.exception() for future in futures.values()]), None)
        ends = {} if failure else {place.partition: future.result().offset for place, future in futures.items()}
        if failure or min(ends.values(), default=0) < 0:  # a hanging broker returns neither an error nor an offset
            self.outage.begin(failure.args[0].str() if failure else "the broker does not answer")
            return None
        return ends


class Silence:
    """Confirms that everything which a partition held at some moment has been read.

    While transactions are open, the log ends beyond what can be read, and again at the next confirmation. So one
    confirmation is kept until its end has been reached, however many follow meanwhile.
    """

    def __init__(self, ends: EndOffsets, partition: int) -> None:
        self._ends, self._partition = ends, partition
        self._awaited: Confirmation | None = None
        self._reported = 0

    def confirmed(self, position: int) -> Confirmation | None:
        """The newest confirmation whose end has been reached, once."""
        latest = self._ends.latest(self._partition)
        if latest is None:
            return None
        if position >= latest.end:
            found, self._awaited = latest, None
        elif self._awaited is not None and position >= self._awaited.end:
            found, self._awaited = self._awaited, latest
        else:
            self._awaited = self._awaited or latest
            return None
        if found.asked_at <= self._reported:
            return None
        self._reported = found.asked_at
        return found
