"""Metadata of Kafka's brokers and topics; and the reason when no broker answers."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._metadata import ClusterMetadata, TopicMetadata

from contracts.errors import MdpError
from contracts.suggestions import did_you_mean

_SECONDS: Final = 10.0
_REACH_SECONDS: Final = 2.0
_FIRST_LOOK_SECONDS: Final = 0.5
_LONGEST_LOOK_SECONDS: Final = 1.0  # a signal is handled between two polls
_AFTER: Final = re.compile(r" \(after \d+ms in state .*\)$")
_REMEDIES: Final = {
    KafkaError._AUTHENTICATION: "correct sasl.mechanism, sasl.username and sasl.password in bus.kafka.options",
    KafkaError._SSL: "correct ssl.ca.location in bus.kafka.options, or name the brokers in bus.kafka.brokers as their"
    " certificates do",
}


class Unreachable(MdpError):  # noqa: N818 - says what is wrong
    """No broker answers; one line says why and what to do."""

    passes = True


class Refused(Unreachable):
    """A broker rejects our credentials, or we reject its certificate; a retry would not help."""

    passes = False


@dataclass(frozen=True, slots=True)
class Topic:
    """An existing topic."""

    partitions: tuple[int, ...]
    replication: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """Metadata of the cluster."""

    id: str
    brokers: int
    topics: Mapping[str, Topic]


def cluster(client: Mapping[str, Any]) -> Cluster:
    """Returns the brokers and all their topics.

    Raises:
        Refused: a password or a certificate is not accepted, or these options make no valid client.
        Unreachable: no broker answers.
    """
    found = metadata(client)
    topics = {name: _topic(topic) for name, topic in found.topics.items()}
    return Cluster(str(found.cluster_id), len(found.brokers), topics)


def _topic(found: TopicMetadata) -> Topic:
    return Topic(
        tuple(sorted(found.partitions)), max((len(each.replicas) for each in found.partitions.values()), default=0)
    )


def metadata(client: Mapping[str, Any], topic: str | None = None) -> ClusterMetadata:
    """Returns the brokers' metadata of one topic, or of all.

    Waits ten seconds for a broker that does not answer; a refused password or certificate is raised at once.

    Raises:
        Refused: a password or a certificate is not accepted, or these options make no valid client.
        Unreachable: no broker answers.
    """
    said: list[KafkaError] = []
    admin = _admin({**client, "error_cb": said.append})
    deadline, look = time.monotonic() + _SECONDS, _FIRST_LOOK_SECONDS
    while True:
        try:
            return admin.list_topics(topic, timeout=look) if topic else admin.list_topics(timeout=look)
        except KafkaException as error:
            admin.poll(0)  # serves the client's error callbacks
            refusal = _refusal(said)
            if refusal is not None:
                raise Refused(_refused(client, refusal)) from None
            if time.monotonic() > deadline:
                raise Unreachable(_silent(client, said, error.args[0])) from None
        look = min(2 * look, _LONGEST_LOOK_SECONDS)


def nearest(client: Mapping[str, Any], topic: str, error: KafkaError) -> str:
    """`; did you mean …?` with an existing topic, if the error is that the topic does not exist; else empty."""
    if error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
        return ""
    try:
        known = metadata(client).topics
    except Unreachable:
        return ""
    return did_you_mean(topic, (name for name in known if not name.startswith("__")))


def _admin(client: dict[str, Any]) -> AdminClient:
    try:
        return AdminClient(client)
    except KafkaException as error:
        raise Refused(f"cannot create a Kafka client: {error.args[0].str()}; correct bus.kafka.options") from None


def _refusal(said: list[KafkaError]) -> KafkaError | None:
    """The reason if every broker has refused us."""
    if not any(error.code() == KafkaError._ALL_BROKERS_DOWN for error in said):
        return None
    return next((error for error in reversed(said) if error.code() in _REMEDIES), None)


def _refused(client: Mapping[str, Any], refusal: KafkaError) -> str:
    reason = _AFTER.sub("", refusal.str())
    return f"cannot connect to Kafka at {client['bootstrap.servers']}: {reason}; {_REMEDIES[refusal.code()]}"


def _silent(client: Mapping[str, Any], said: list[KafkaError], last: KafkaError) -> str:
    known = [error for error in said if error.code() != KafkaError._ALL_BROKERS_DOWN]
    reason = _AFTER.sub("", (known[-1] if known else last).str())
    # A broker that expects another protocol closes the connection without an error.
    remedy = "" if known else ", or bus.kafka.options if it asks for TLS or a password"
    where = client["bootstrap.servers"]
    return f"no Kafka broker answers at {where}: {reason}; start it, or set bus.kafka.brokers{remedy}"


class Reach:
    """Describes the cluster within two seconds; a call raises Unreachable if no broker answers.

    The request names no topic: brokers that create topics automatically would create a deleted one again.

    The client is kept between calls, but not after a failure: one from before a broker's restart may be refused for
    ever.
    """

    def __init__(self, client: Mapping[str, Any]) -> None:
        self._client = dict(client)
        self._admin: AdminClient | None = None

    def __call__(self) -> None:
        admin, self._admin = self._admin or _admin(self._client), None
        failure = admin.describe_cluster(request_timeout=_REACH_SECONDS).exception()
        if failure is not None:
            raise Unreachable(failure.args[0].str() if isinstance(failure, KafkaException) else str(failure))
        self._admin = admin
