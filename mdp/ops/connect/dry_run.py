"""A dry run: envelopes go to whoever shows them, and nothing to Kafka."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from codec.output_records import DLQ_ERROR, DLQ_REASON
from connectors.runtime.sink import Delivery
from contracts.record import Headers, header_texts


class Shown(NamedTuple):
    """A record that would have been sent; `refusal` says why one would have gone to the DLQ."""

    topic: str
    value: bytes
    refusal: str


class _Acknowledged:
    """A delivery that is done with at once."""

    is_done = True

    def complete(self) -> None:
        """There is nothing to wait for."""

    async def acknowledged(self) -> None:
        """There is nothing to wait for."""


class DryRun:
    """A sink that shows what it is given."""

    waiting = 0

    def __init__(self, show: Callable[[Shown], None]) -> None:
        self._show = show

    def delivery(self) -> Delivery:
        return _Acknowledged()

    def send(self, topic: str, key: bytes | None, value: bytes, headers: Headers, delivery: Delivery) -> bool:
        texts = header_texts(headers)
        refusal = f"{texts[DLQ_REASON]}: {texts[DLQ_ERROR]}" if DLQ_REASON in texts else ""
        self._show(Shown(topic, value, refusal))
        return True

    def poll(self) -> None:
        """Everything is acknowledged."""
