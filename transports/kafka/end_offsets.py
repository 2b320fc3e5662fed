"""Polls the broker for the end offset of each partition: a partition is quiet only if the broker has confirmed it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec  # its own package does not export it to type checkers

from telemetry.outage import Outage
from transports.kafka.config import KafkaConfig

_CONFIRMATIONS_PER_TIMEOUT: Final = 4
_LONGEST_SECONDS: Final = 5.0  # so that an outage is noticed even while backpressure keeps the flow from reading


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
    """A background thread that keeps the latest confirmation of each partition.

    A request that fails, or takes longer than the idle time to be measured, restarts the chain: an outage is not
    silence.
    """

    config: KafkaConfig
    topic: str
    timeout_ns: int
    outage: Outage
    _latest: dict[int, Confirmation] = field(default_factory=dict, init=False)
    _partitions: tuple[int, ...] = field(default=(), init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _stopped: threading.Event = field(default_factory=threading.Event, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def watch(self, partition: int) -> None:
        """Adds a partition; the first one starts the thread."""
        with self._lock:  # worker threads of one process share the source
            self._partitions = (*self._partitions, partition)
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._run, name="end-offsets", daemon=True)
            self._thread.start()

    def latest(self, partition: int) -> Confirmation | None:
        return self._latest.get(partition)

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        admin = AdminClient(self.config.client())
        period = min(self.timeout_ns / _CONFIRMATIONS_PER_TIMEOUT / 1e9, _LONGEST_SECONDS)
        unbroken_since, answered_at = 0, 0
        while not self._stopped.wait(period):
            asked_at = time.monotonic_ns()
            if asked_at - answered_at > self.timeout_ns:
                unbroken_since = asked_at
            ends = self._ask(admin, self._partitions)
            if ends is None:  # a client from before a broker's restart may be refused for ever
                admin = AdminClient(self.config.client())
            else:
                self.outage.end()
                answered_at = time.monotonic_ns()
                confirmed = {p: Confirmation(unbroken_since, asked_at, end) for p, end in ends.items()}
                self._latest = {**self._latest, **confirmed}

    def _ask(self, admin: AdminClient, partitions: Sequence[int]) -> dict[int, int] | None:
        wanted = {TopicPartition(self.topic, partition): OffsetSpec.latest() for partition in partitions}
        try:
            futures = admin.list_offsets(
                wanted,
                isolation_level=IsolationLevel.READ_COMMITTED,
                request_timeout=min(self.timeout_ns / 1e9, _LONGEST_SECONDS),
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
