"""The original records of stubs, fetched from the log."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from codec.stubs import Stub
from contracts.errors import MdpError
from transports.kafka.config import KafkaConfig
from transports.kafka.topic_reader import Message, TopicReader


class OriginalLost(MdpError):  # noqa: N818 - says what is wrong
    """The log no longer holds the record."""


class Originals:
    """Fetches records of a topic; connects with the first fetch."""

    def __init__(self, config: KafkaConfig, topic: str) -> None:
        self._config, self._topic = config, topic
        self._reader: TopicReader | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()

    def fetch(self, stub: Stub, partition: int, offset: int) -> Message:
        """Return the original record of the stub.

        Raises:
            OriginalLost: it is no longer there, or another record is at its offset.
            SourceError: the topic cannot be read.
        """
        message = self._at(partition, offset)
        if message is None or not stub.is_of(message.value()):
            raise OriginalLost(f"{self._topic}[{partition}]@{offset} is no longer in the log")
        return message

    def _at(self, partition: int, offset: int) -> Message | None:
        reader = self._reader = self._reader or TopicReader(self._config, self._topic)
        if partition not in reader.partitions:
            return None
        low, high = reader.bounds(partition)
        if not low <= offset < high:
            return None
        found = (one for messages in reader.span(partition, offset, offset + 1) for one in messages)
        return next((one for one in found if one.offset() == offset), None)
