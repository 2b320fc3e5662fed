"""`python -m tests.recovery.crashing_worker FLOW POINT NUMBER SETTING…`: a worker that dies at a point of its own.

It kills itself, as SIGKILL from outside would, the so-many-th time that it comes to the point. Its epochs are short.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from bytewax._bytewax import cluster_main
from confluent_kafka import Producer

from flows.chain import Chain
from flows.spec import FLOWS
from mdp.runtime import worker
from sinks import progress
from sinks.background import BackgroundWriter
from sinks.timescale import TimescaleWriter
from transports.kafka import claims
from transports.kafka.claims import Takeover
from transports.kafka.partition import KafkaPartition
from transports.kafka.transactional_writer import TransactionalWriter

EPOCH = timedelta(milliseconds=100)
PATCH = pytest.MonkeyPatch()


def dies(number: int) -> Callable[[], None]:
    """Dies when it is called for the so-many-th time."""
    calls = iter(range(number - 1, -1, -1))

    def die() -> None:
        if next(calls) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return die


def around(
    owner: object, name: str, *, before: Callable[[], None] | None = None, after: Callable[[], None] | None = None
) -> None:
    original = getattr(owner, name)

    def wrapped(*arguments: Any, **more: Any) -> Any:
        if before:
            before()
        result = original(*arguments, **more)
        if after:
            after()
        return result

    PATCH.setattr(owner, name, wrapped)


def kafka(die: Callable[[], None], *, before: bool) -> None:
    """The points around the commit of a Kafka transaction with records."""

    class DyingProducer(Producer):
        has_records = False

        def produce(self, *arguments: Any, **more: Any) -> None:
            self.has_records = True
            super().produce(*arguments, **more)

        def commit_transaction(self, *arguments: Any) -> None:
            if not self.has_records:
                super().commit_transaction(*arguments)
                return
            if before:
                self.flush(30)  # the records are in the log, and the transaction is open
                die()
            super().commit_transaction(*arguments)
            if not before:
                die()

    PATCH.setattr(claims, "Producer", DyingProducer)


def first_poll_of_an_epoch(die: Callable[[], None]) -> None:
    """The state of the epoch before is being committed."""
    fresh: list[bool] = []
    around(KafkaPartition, "snapshot", after=lambda: fresh.append(True))
    around(KafkaPartition, "next_batch", before=lambda: die() if fresh and fresh.pop() else None)


POINTS: dict[str, Callable[[Callable[[], None]], None]] = {
    "a flush to the database begins": lambda die: around(TimescaleWriter, "write", before=die),
    "rows are copied and not committed": lambda die: around(progress, "advance", after=die),
    "rows are committed": lambda die: around(TimescaleWriter, "write", after=die),
    "records are sent and not committed": lambda die: kafka(die, before=True),
    "records are committed": lambda die: kafka(die, before=False),
    "other claimants are locked out": lambda die: around(Takeover, "lock", after=die),
    "former writers are fenced": lambda die: around(Takeover, "fence", after=die),
    "a writer is named": lambda die: around(Takeover, "claim", after=die),
    "partitions are taken over": lambda die: around(TransactionalWriter, "open", after=die),
    "a barrier begins": lambda die: around(BackgroundWriter, "barrier", before=die),
    "a barrier ends": lambda die: around(BackgroundWriter, "barrier", after=die),
    "a state is saved": lambda die: around(Chain, "snapshot", after=die),
    "an offset is saved": lambda die: around(KafkaPartition, "snapshot", after=die),
    "an epoch is committed": first_poll_of_an_epoch,
}

# What a worker does but once, before the first record that it writes.
TAKEOVER = {
    "other claimants are locked out",
    "former writers are fenced",
    "a writer is named",
    "partitions are taken over",
}


def main() -> None:
    flow, point, number, *settings = sys.argv[1:]
    POINTS[point](dies(int(number)))
    PATCH.setattr(
        worker, "cluster_main", lambda *given, **more: cluster_main(*given, **more | {"epoch_interval": EPOCH})
    )
    sys.exit(worker.run(FLOWS[flow], None, settings, 1))


if __name__ == "__main__":
    main()
