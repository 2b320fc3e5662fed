"""What a bus counts and says of its messages, by the names of its contract.

A line for each message is for finding one that is missing: at the level DEBUG only, as there are as many as messages.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Literal

from contracts.headers import MESSAGE_ID
from contracts.record import Headers, header_texts
from contracts.trace_context import TRACEPARENT, trace_id_of
from telemetry.metrics import BATCH_BYTES, CONSUMED, DELIVERY_LATENCY, PRODUCED

Result = Literal["ok", "retry", "dlq"]

log = logging.getLogger("mdp.bus")


class Consumption:
    """Counts what one consumer reads of a topic."""

    def __init__(self, topic: str, consumer: str) -> None:
        self._records = CONSUMED.labels(topic, consumer)
        self._bytes, self._latency = BATCH_BYTES.labels(topic), DELIVERY_LATENCY.labels(topic)

    def note(self, records: int, nbytes: int, age_ms: float) -> None:
        """Records that were read at once, how large they are together, and how old the newest is."""
        self._records.inc(records)
        self._bytes.observe(nbytes)
        self._latency.observe(max(age_ms, 0.0))


def note_produced(
    topic: str, producer: str, messages: Iterable[Headers], result: Result, latency_ms: float | None = None
) -> None:
    """Counts messages that a topic has taken, given the headers of each, and says so to who wants to know.

    `latency_ms` is the time since what led to them was read.
    """
    every = list(messages)
    PRODUCED.labels(topic, producer).inc(len(every))
    if not log.isEnabledFor(logging.DEBUG):
        return
    for headers in every:
        texts = header_texts(headers)
        fields = {
            "message_id": texts.get(MESSAGE_ID),
            "trace_id": trace_id_of(texts.get(TRACEPARENT, "")) or None,
            "topic": topic,
            "producer": producer,
            "result": result,
            "latency_ms": latency_ms and round(latency_ms, 1),
        }
        log.debug("%s: message %s in %s", result, fields["message_id"], topic, extra=fields)
