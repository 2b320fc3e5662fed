"""Backpressure of a Kafka client, whose queue is bounded.

When the queue is full, the client's `produce` raises. All producing code uses this module instead, which blocks until
the client has sent some records, or says that the queue is full.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

_FULL_SECONDS: Final = 0.05


class Failures:
    """Delivery reports of records that were not acknowledged; `note` is the client's `on_delivery`."""

    def __init__(self) -> None:
        self.count = 0
        self.reason = ""  # of the last failure

    def note(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self.count += 1
            self.reason = error.str()


def unblocked(producer: Producer) -> Callable[..., bool]:
    """Returns `producer.produce`, with the same arguments, but returning False while the queue is full."""

    def produce(*args: Any, **more: Any) -> bool:
        try:
            producer.produce(*args, **more)
        except BufferError:
            return False
        return True

    return produce


def backpressured(producer: Producer, check: Callable[[], None] | None = None) -> Callable[..., None]:
    """Returns `producer.produce`, with the same arguments, but waiting while the queue is full.

    Args:
        producer: the client; its callbacks may run meanwhile.
        check: called between two attempts; raises if further waiting is useless.

    Raises:
        KafkaException: the client does not accept the record, for example because it is larger than the whole queue.
    """

    def produce(*args: Any, **more: Any) -> None:
        was_empty = False
        while True:
            try:
                return producer.produce(*args, **more)
            except BufferError as error:
                if was_empty:
                    raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)) from error
            was_empty = not len(producer)
            producer.poll(_FULL_SECONDS)
            if check is not None:
                check()

    return produce
