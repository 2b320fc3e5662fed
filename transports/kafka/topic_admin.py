"""Creates and deletes topics and reads their settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from contracts.errors import MdpError
from transports.kafka.brokers import Cluster, cluster
from transports.kafka.config import KafkaConfig

_SECONDS: Final = 15.0
_LOOK_SECONDS: Final = 0.02


class TopicsError(MdpError):
    """Topics cannot be created or deleted as asked; one line says what to do."""


class TopicPlan(NamedTuple):
    """How to create a topic; `settings` are Kafka's own."""

    partitions: int
    replication: int
    settings: dict[str, str]


class TopicAdmin:
    """Changes topics, and waits until all brokers know, as the controller knows a moment before them."""

    def __init__(self, config: KafkaConfig) -> None:
        self._config = config
        self._admin = AdminClient(config.client())

    def create(self, topics: Mapping[str, TopicPlan]) -> None:
        """Creates topics; leaves existing ones alone.

        Raises:
            TopicsError: the broker does not create one.
        """
        if not topics:
            return
        new = [NewTopic(name, plan.partitions, plan.replication, config=plan.settings) for name, plan in topics.items()]
        for name, future in self._admin.create_topics(new).items():
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another client was faster
                    raise TopicsError(f"cannot create topic {name}: {error.args[0].str()}") from None

    def delete(self, names: Collection[str]) -> None:
        """Deletes those of these topics that exist, and waits until no broker lists them.

        Raises:
            TopicsError: the broker does not delete them.
        """
        present = set(names) & cluster(self._config.client()).topics.keys()
        if not present:
            return
        try:
            for future in self._admin.delete_topics(list(present)).values():
                future.result(_SECONDS)
        except KafkaException as error:
            raise TopicsError(f"cannot delete topics: {error.args[0].str()}; try again") from None
        self._await(lambda listed: not present & listed.topics.keys(), "still lists topics that it has deleted")

    def await_listed(self, names: Collection[str]) -> Cluster:
        """Returns the cluster, once it lists these topics.

        Raises:
            TopicsError: it does not within some seconds.
            Unreachable: no broker answers.
        """
        return self._await(lambda listed: set(names) <= listed.topics.keys(), "does not show the topics it created")

    def settings(self, names: Sequence[str]) -> dict[str, dict[str, str | None]]:
        """Kafka's settings of these topics, defaults included."""
        if not names:
            return {}
        described = self._admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names])
        return {
            resource.name: {key: entry.value for key, entry in future.result().items()}
            for resource, future in described.items()
        }

    def _await(self, is_done: Callable[[Cluster], bool], complaint: str) -> Cluster:
        deadline = time.monotonic() + _SECONDS
        while not is_done(listed := cluster(self._config.client())):
            if time.monotonic() > deadline:
                raise TopicsError(f"the broker at {self._config.brokers} {complaint}: try again later")
            time.sleep(_LOOK_SECONDS)
        return listed
