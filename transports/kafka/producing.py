"""Handing records to a Kafka client, which has room for only so many at once.

Where it is full, `produce` of the client raises. All that this program produces goes through here instead: whoever
produces is held back until the client has sent some.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

_FULL_SECONDS: Final = 0.05


class Failures:
    """What delivery reports tell of records that were not acknowledged; `note` is the client's `on_delivery`."""

    def __init__(self) -> None:
        self.count = 0
        self.reason = ""  # of the last one

    def note(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self.count += 1
            self.reason = error.str()


def backpressured(producer: Producer, heed: Callable[[], None] | None = None) -> Callable[..., None]:
    """`producer.produce`, which waits while there is no room; it takes the same arguments.

    Args:
        producer: the client; its callbacks may run meanwhile.
        heed: called between two looks; raises where it is no use to wait any longer.

    Raises:
        KafkaException: the client does not take the record, as it is larger than all its room, say.
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
            if heed is not None:
                heed()

    return produce
