"""Calls of the client that may not return at all, whatever time they are given."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from confluent_kafka import KafkaError, KafkaException

_GRACE_SECONDS: Final = 5.0


def within(seconds: float, call: Callable[[], object]) -> None:
    """Makes a call that is told to take so long at most, in a thread, and gives up on it a little later.

    librdkafka waits for ever for the answer to offsets of a transaction that got lost as the broker was killed; whoever
    has the producer then needs another one.

    Raises:
        KafkaException: what the call raises; or it has not returned.
    """
    outcome: Future[object] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name="kafka-call", daemon=True).start()
    try:
        outcome.result(seconds + _GRACE_SECONDS)
    except TimeoutError:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "the broker does not answer")) from None
