"""Which of several processes does a job: the one to which a consumer group assigns the first partition of a topic."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from confluent_kafka import Consumer, KafkaError

from transports.kafka.config import KafkaConfig
from transports.kafka.errors import translated
from transports.kafka.fetches import MODERATE
from transports.kafka.topics import SourceError

_SESSION_MS: Final = 6_000  # after it, another process takes over from one that was killed: the broker's minimum
_REFUSALS: Final = frozenset({KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED})


class Leadership:
    """Membership in the group; one member at a time leads.

    A leader that is cut off may still believe that it leads: what it writes has to be fenced, by a transactional id
    that the next leader takes.

    Args:
        config: of the bus.
        topic: whose first partition stands for the job; records in it wake the members up.
        group: the consumer group, which commits nothing.
    """

    def __init__(self, config: KafkaConfig, topic: str, group: str) -> None:
        self._consumer = Consumer(
            config.client(
                group_id=group,
                enable_auto_commit=False,
                auto_offset_reset="latest",
                session_timeout_ms=_SESSION_MS,
                heartbeat_interval_ms=_SESSION_MS // 3,
                partition_assignment_strategy="cooperative-sticky",  # a member that joins does not interrupt the leader
                **MODERATE,
            )
        )
        self._consumer.subscribe([topic])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._consumer.close()  # leaves the group, so that another member leads at once

    def held(self, seconds: float) -> bool:
        """Whether this process leads, after at most so many seconds: a new record of the topic ends the wait.

        Call it at least once in five minutes: a member that does not is replaced.

        Raises:
            SourceError: the broker refuses the group or the topic.
        """
        with translated():
            message = self._consumer.poll(seconds)
            error = None if message is None else message.error()
            if error is not None and error.code() in _REFUSALS:
                raise SourceError(f"cannot take part in a consumer group: {error.str()}; grant the missing permission")
            return any(place.partition == 0 for place in self._consumer.assignment())
