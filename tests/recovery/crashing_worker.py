"""`python -m tests.recovery.crashing_worker POINT NUMBER SETTING…`: a market worker that dies at a point of its own.

It kills itself, as SIGKILL from outside would, the so-many-th time that it comes to the point. Its epochs are short.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from bytewax._bytewax import cluster_main
from confluent_kafka import Producer

import sinks.timescale
from flows.chain import Chain
from flows.spec import MARKET
from mdp.runtime import worker
from sinks.background import BackgroundWriter
from sinks.timescale import TimescaleWriter
from transports.kafka.claims import Takeover
from transports.kafka.partition import KafkaPartition
from transports.kafka.transactional_writer import TransactionalWriter

EPOCH = timedelta(milliseconds=100)


class DyingProducer(Producer):  # type: ignore[misc]
    """Comes to the points around the commit of a Kafka transaction with records."""

    die: Callable[[], None]
    before: bool
    has_records: bool = False

    def produce(self, *arguments: Any, **more: Any) -> None:
        self.has_records = True
        super().produce(*arguments, **more)

    def commit_transaction(self, *arguments: Any) -> None:
        if not self.has_records:
            super().commit_transaction(*arguments)
            return
        if self.before:
            self.flush(30)  # the records are in the log, and the transaction is open
            self.die()
        super().commit_transaction(*arguments)
        if not self.before:
            self.die()


def dies(number: int) -> Callable[[], None]:
    """Dies when it is called for the so-many-th time."""
    calls = iter(range(number - 1, -1, -1))

    def die() -> None:
        if next(calls) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return die


def around(
    owner: Any, name: str, *, before: Callable[[], None] | None = None, after: Callable[[], None] | None = None
) -> None:
    original = getattr(owner, name)

    def wrapped(*arguments: Any, **more: Any) -> Any:
        if before:
            before()
        result = original(*arguments, **more)
        if after:
            after()
        return result

    setattr(owner, name, wrapped)


def kafka(die: Callable[[], None], *, before: bool) -> None:
    DyingProducer.die, DyingProducer.before = staticmethod(die), before  # type: ignore[assignment]
    sys.modules[Takeover.__module__].Producer = DyingProducer  # type: ignore[attr-defined]


def first_poll_of_an_epoch(die: Callable[[], None]) -> None:
    """The state of the epoch before is being committed."""
    fresh: list[bool] = []
    around(KafkaPartition, "snapshot", after=lambda: fresh.append(True))
    around(KafkaPartition, "next_batch", before=lambda: die() if fresh and fresh.pop() else None)


POINTS: dict[str, Callable[[Callable[[], None]], None]] = {
    "a flush to the database begins": lambda die: around(TimescaleWriter, "write", before=die),
    "rows are copied and not committed": lambda die: around(sinks.timescale.progress, "advance", after=die),
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
    point, number, *settings = sys.argv[1:]
    POINTS[point](dies(int(number)))
    worker.cluster_main = lambda *arguments, **more: cluster_main(*arguments, **{**more, "epoch_interval": EPOCH})  # type: ignore[assignment]
    sys.exit(worker.run(MARKET, None, settings, 1))


if __name__ == "__main__":
    main()
