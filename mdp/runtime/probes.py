"""Checks whether a worker's services are reachable, over connections of their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from flows.secrets import masked
from flows.settings import Settings
from sinks.connection import reach
from telemetry.health import Check
from transports.kafka.brokers import Reach


def probes(settings: Settings) -> dict[str, Check]:
    """By service, a function that raises if it cannot be reached, within a few seconds."""
    return {
        "the database": _masked(partial(reach, settings.store.url.get_secret_value())),
        "Kafka": _masked(Reach(settings.bus.kafka.client())),
    }


def _masked(check: Callable[[], None]) -> Check:
    def checked() -> None:
        try:
            check()
        except Exception as error:
            raise ConnectionError(masked(str(error))) from None

    return checked
