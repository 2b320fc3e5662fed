"""Detects a topic that was recreated under the same name while a flow reads it.

The client continues in the new topic at the old offset, without an error if that offset exists by then. Records do not
carry their topic's id. But an id is never reused: if the broker reports the old id when asked after a record was read,
then that record is from the old topic.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import cached_property
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from contracts.batch import MicroBatch
from telemetry.outage import wait_out
from transports.kafka.config import KafkaConfig
from transports.kafka.topics import BrokerUnavailable, SourceError

_TIMEOUT: Final = 10.0
_MOST_ASKED: Final = 4  # requests at the same time: a hanging broker gets no more


class _Asked(NamedTuple):
    at: int  # nanoseconds of the monotonic clock
    answer: Future[Any]
    client: AdminClient  # kept alive for the answer


class TopicIdentity:
    """Confirms that records are from the same topic that a flow has read so far.

    Args:
        config: of the bus.
        topic: its name.
        known: returns its id, if it has been read before.
    """

    def __init__(self, config: KafkaConfig, topic: str, known: Callable[[], str | None]) -> None:
        self._config, self._topic, self._known = config, topic, known
        self._admin: AdminClient | None = None
        self._asked: deque[_Asked] = deque()
        self._confirmed = 0  # time of the last request that returned the right id
        self._lock = threading.Lock()

    @cached_property
    def id(self) -> str:
        """The id of the topic that the flow has read before, or of the present topic at its first start."""
        return self._known() or wait_out(lambda: self._answered(self._latest(0)), BrokerUnavailable, "Kafka")

    def ask(self) -> None:
        """Sends a request to the broker, so that the answer has arrived when `confirm` is called; does not wait."""
        with self._lock:
            while self._asked and self._asked[0].answer.done():
                self._asked.popleft()
            if len(self._asked) < _MOST_ASKED:
                self._begin()

    def confirm(self, batches: Sequence[MicroBatch]) -> None:
        """Waits until the broker confirms that these batches are from the same topic.

        Raises:
            SourceError: the topic was recreated.
        """
        self._settle(max(batch.read_at or time.monotonic_ns() for batch in batches))

    def check(self) -> None:
        """Confirms that the present topic is the same."""
        self._settle(time.monotonic_ns())

    def _settle(self, since: int) -> None:
        if self._confirmed < since:
            wait_out(lambda: self._check(since), BrokerUnavailable, "Kafka")

    def _check(self, since: int) -> None:
        asked = self._latest(since)
        if self._answered(asked) != self.id:
            raise SourceError(f"topic {self._topic} was deleted and recreated: read the new one under another --name")
        self._confirmed = max(self._confirmed, asked.at)

    def _latest(self, since: int) -> _Asked:
        """The last request to the broker, sent at `since` or later."""
        with self._lock:
            if not self._asked or self._asked[-1].at < since:
                self._begin()
            return self._asked[-1]

    def _begin(self) -> None:
        if self._admin is None:
            self._admin = AdminClient(self._config.client())
        asked_at = time.monotonic_ns()
        described = self._admin.describe_topics(TopicCollection([self._topic]), request_timeout=_TIMEOUT)
        self._asked.append(_Asked(asked_at, described[self._topic], self._admin))

    def _answered(self, asked: _Asked) -> str:
        try:
            return str(asked.answer.result(2 * _TIMEOUT).topic_id)
        except (KafkaException, TimeoutError) as error:
            with self._lock:  # a client from before a broker's restart may be refused for ever
                self._admin = None
                self._asked.clear()
            reason = error.args[0].str() if isinstance(error, KafkaException) else "no answer"
            raise BrokerUnavailable(f"topic {self._topic} cannot be described: {reason}") from None
