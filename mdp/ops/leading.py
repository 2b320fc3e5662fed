"""Services of which one process works, while others wait for their turn."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, NamedTuple, Protocol

from contracts.errors import MdpError
from telemetry.outage import Outage
from transports.kafka.config import KafkaConfig
from transports.kafka.errors import Fenced, translated
from transports.kafka.leadership import Leadership
from transports.kafka.topics import SourceError

_LOOK_SECONDS: Final = 0.5
_FIRST_WAIT: Final = 0.2
_LONGEST_WAIT: Final = 5.0

log = logging.getLogger("mdp.services")


class Shift(Protocol):
    """A process at work. It fences the one before, and is fenced by the next.

    Raises:
        Fenced: another one has begun.
        MdpError: one that passes ends the shift; a new one goes on where it was.
    """

    def work(self) -> float | None:
        """Do a part of what is to be done; return the seconds after which to call again, None if nothing is left."""


class Service(NamedTuple):
    """A service.

    Attributes:
        name: for logs.
        topic: whose first partition stands for it.
        group: the consumer group that says who works.
        begin: begins a shift.
        idle_seconds: between two looks for work when there was none.
        fenced_seconds: to wait after another one has begun.
    """

    name: str
    topic: str
    group: str
    begin: Callable[[], AbstractContextManager[Shift]]
    idle_seconds: float
    fenced_seconds: float


def lead(service: Service, kafka: KafkaConfig, stop: threading.Event, *, once: bool) -> None:
    """Run the service until `stop`; `once`: until there is nothing left to do.

    Raises:
        MdpError: one that does not pass.
    """
    outage, wait = Outage("Kafka"), _FIRST_WAIT
    with Leadership(kafka, service.topic, service.group) as leadership:
        while not stop.is_set():
            try:
                with translated():
                    if leadership.held(_LOOK_SECONDS) and _worked(service, leadership, stop, outage, once=once):
                        return
                wait = _FIRST_WAIT
            except Fenced:
                log.warning("another %s has begun: waiting for its end", service.name)
                stop.wait(service.fenced_seconds)
            except MdpError as error:
                if not (error.passes or isinstance(error, SourceError)):
                    raise
                outage.begin(error)
                stop.wait(random.uniform(wait / 2, wait))  # noqa: S311 - jitter
                wait = min(2 * wait, _LONGEST_WAIT)


def _worked(service: Service, leadership: Leadership, stop: threading.Event, outage: Outage, *, once: bool) -> bool:
    """Work as long as this process leads; return whether there is nothing left, if that is to end it."""
    with service.begin() as shift:
        log.info("this %s is the one that works", service.name)
        while not stop.is_set():
            wait = shift.work()
            outage.end()
            if wait is None and once:
                return True
            stop.wait(service.idle_seconds if wait is None else wait)
            if not leadership.held(0):
                log.info("another %s is to work", service.name)
                break
    return False
