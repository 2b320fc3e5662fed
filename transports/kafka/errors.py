"""Kafka's failures as errors with a remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from contracts.errors import MdpError

_FORBIDDEN: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
_FENCED: Final = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH})
_TOO_LARGE: Final = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})

REPLACED: Final = "fenced: another worker of this flow has taken over; only one may run at a time"


class Fenced(MdpError):  # noqa: N818 - says what happened
    """Another producer has taken over this one's partitions."""


class RecordTooLarge(MdpError):  # noqa: N818 - says what is wrong
    """A topic does not accept a record of this size; a retry would not help."""


class Forbidden(MdpError):  # noqa: N818 - says what is wrong
    """The broker does not authorize this user."""


class KafkaUnavailable(MdpError):  # noqa: N818 - says what is wrong
    """A request failed; a retry is safe."""

    passes = True

    @property
    def line(self) -> str:
        return f"Kafka: {self}"


def is_fenced(error: KafkaError) -> bool:
    """Whether another producer has taken the transactional id.

    Errors of authorization are fatal too, but are not fencing. Nor is an id that expired at the broker after a week of
    disuse.
    """
    return error.code() in _FENCED or (error.fatal() and error.code() != KafkaError.INVALID_PRODUCER_ID_MAPPING)


def may_pass(error: BaseException) -> bool:
    """Whether the client's error may be transient."""
    return isinstance(error, KafkaException) and error.args[0].code() not in _FORBIDDEN


@contextmanager
def translated() -> Iterator[None]:
    """Turns KafkaException into Forbidden, Fenced, RecordTooLarge or KafkaUnavailable."""
    try:
        yield
    except KafkaException as error:
        raise _translation(error.args[0]) from None
    except SystemError as error:  # the client raises fatal errors while it serves delivery reports
        if not isinstance(error.__cause__, KafkaException):
            raise
        raise _translation(error.__cause__.args[0]) from None


def _translation(error: KafkaError) -> MdpError:
    if error.code() in _FORBIDDEN:
        return Forbidden(f"Kafka does not allow this user to write: {error.str()}; grant the missing permission")
    if is_fenced(error):
        return Fenced(REPLACED)
    if error.code() in _TOO_LARGE:
        return RecordTooLarge(
            "an output topic refuses a record because of its size; "
            "set its max.message.bytes above that of the events topic, as configs/topics.yaml does"
        )
    return KafkaUnavailable(error.str())
