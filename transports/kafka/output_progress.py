"""How far a flow has turned its log into outputs: read back by a new writer, and part of each of its transactions.

Where partition i of the source is written to partition i of each output, the last record there says it by itself. Where
records go to partitions by their keys, it says nothing about any one partition of the source. Then the offsets up to
which the source has been turned into outputs are committed to a consumer group, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from codec.output_records import Cause, Identity
from transports.kafka.config import KafkaConfig
from transports.kafka.deadline import within
from transports.kafka.first_contact import EAGER, connected
from transports.kafka.read_back import NOTHING, Place, last_causes

_SECONDS: Final = 30.0
_ALL_ROWS: Final = 2**31  # of a record


class OutputProgress(Protocol):
    """The progress of the outputs of one flow."""

    def read_back(self, places: Sequence[Place]) -> dict[Place, Cause]:
        """The last cause whose records are written, by output topic and partition of the source."""

    def commit(self, producer: Producer, next_offsets: Mapping[int, int]) -> None:
        """Makes the progress of partitions of the source part of the open transaction."""


class InOutputs:
    """Progress in the outputs themselves: partition i of the source is written to partition i of each."""

    def __init__(self, config: KafkaConfig, identity: Identity) -> None:
        self._config, self._identity = config, identity

    def read_back(self, places: Sequence[Place]) -> dict[Place, Cause]:
        return last_causes(self._config, self._identity, places)

    def commit(self, producer: Producer, next_offsets: Mapping[int, int]) -> None:
        """They are in the records already."""


class InGroup:
    """Progress as offsets of a consumer group.

    Kafka keeps them for a week after the last commit (offsets.retention.minutes), so all that are known are committed
    again with each transaction.
    """

    def __init__(self, config: KafkaConfig, identity: Identity) -> None:
        self._config, self._identity = config, identity
        self._known: dict[int, int] = {}
        options = config.client(
            group_id=identity.progress_group,
            enable_auto_commit=False,
            isolation_level="read_committed",  # waits for a transaction that is being ended
            **EAGER,
        )
        self._group = Consumer(options)

    def read_back(self, places: Sequence[Place]) -> dict[Place, Cause]:
        partitions = sorted({place.partition for place in places})
        wanted = [TopicPartition(self._identity.topic, partition) for partition in partitions]
        found = connected(self._group, self._identity.topic).committed(wanted, timeout=_SECONDS)
        for place in found:
            if place.error is not None:
                raise KafkaException(place.error)
        self._known |= {place.partition: place.offset for place in found if place.offset >= 0}
        return {place: self._cause(place.partition) for place in places}

    def _cause(self, partition: int) -> Cause:
        known = self._known.get(partition)
        return NOTHING if known is None else (known - 1, _ALL_ROWS)

    def commit(self, producer: Producer, next_offsets: Mapping[int, int]) -> None:
        self._known |= next_offsets
        offsets = [TopicPartition(self._identity.topic, *place) for place in sorted(self._known.items())]
        group = self._group.consumer_group_metadata()
        within(_SECONDS, lambda: producer.send_offsets_to_transaction(offsets, group, _SECONDS))
