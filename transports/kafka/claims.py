"""Ownership of a source partition's outputs: one writer at a time, however many processes believe they own it.

A writer is a transactional producer with a unique, new transactional id. It writes for many partitions, so its id does
not identify them; claims do. The claim of a partition names its writer. It is stored as the metadata of a committed
offset, and is changed only in a transaction of the claimant: a producer whose transactional id belongs to the
partition. So when several processes take a partition over, all but the last are fenced before they own it, and the
last knows which writer to fence. docs/delivery.md explains why this suffices.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, TypeVar

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from codec.output_records import Identity
from contracts.errors import MdpError
from transports.kafka.config import ClientOption, KafkaConfig
from transports.kafka.deadline import within
from transports.kafka.first_contact import EAGER, connected

_T = TypeVar("_T")

_SECONDS: Final = 30.0
_AT_ONCE: Final = 32
_AHEAD_OF_ALL: Final = 2**62  # as an offset: lag tools must not see a lagging reader in a claim
_PRODUCER: Final[dict[str, ClientOption]] = {
    **EAGER,
    "retry_backoff_ms": 5,  # the broker asks for a retry when one transaction directly follows another
}


class ForgedClaim(MdpError):  # noqa: N818 - says what is wrong
    """A claim that was not written by this program."""


class Takeover:
    """Takes partitions over for a new writer, in four steps, each of all partitions at once.

    `lock`, `fence` and `claim` are called in this order; then the former writers' commits can be read back, as no more
    can follow. An interrupted takeover leaves the partitions without a writer, and can be repeated.

    Every step raises KafkaException: that of a fenced producer if another takeover has begun since. `lock` also raises
    ForgedClaim.
    """

    def __init__(self, config: KafkaConfig, identity: Identity, partitions: Sequence[int]) -> None:
        self._config, self._identity = config, identity
        self._claimants = {
            partition: self._producer(identity.claimant_id(partition)) for partition in sorted(partitions)
        }
        self._claims = Consumer(
            config.client(
                group_id=identity.claims_group,
                enable_auto_commit=False,
                isolation_level="read_committed",  # waits for a claim that is being written
                **EAGER,
            )
        )

    def __enter__(self) -> Takeover:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._claimants.clear()
        self._claims.close()

    def lock(self) -> dict[int, str]:
        """Fences all other claimants; returns the writer of each partition that has one.

        This also fences a writer of earlier versions of mdp, which wrote under the claimant's id.
        """
        _each(self._begin, self._claimants.values())
        claims = connected(self._claims, self._identity.topic).committed(self._places(), timeout=_SECONDS)
        failed = next((claim.error for claim in claims if claim.error is not None), None)
        if failed is not None:
            raise KafkaException(failed)
        former = {claim.partition: claim.metadata for claim in claims if claim.metadata}
        for partition, writer in former.items():
            self._check(partition, writer)
        return former

    def fence(self, writers: Iterable[str]) -> None:
        """Aborts the open transactions of these writers and keeps them from beginning new ones."""
        _each(self._begin, map(self._producer, set(writers)))

    def writer(self, **options: ClientOption) -> tuple[str, Producer]:
        """Returns a new, initialized writer and its transactional id.

        It must be initialized before a claim names it: a writer that initializes after it was fenced undoes the fence.
        """
        name = f"{self._identity.writers_prefix}{uuid.uuid4().hex}"
        producer = self._producer(name, **options)
        self._begin(producer)
        return name, producer

    def claim(self, writer: str) -> None:
        """Records the writer as that of all the partitions."""
        group = self._claims.consumer_group_metadata()

        def commit(place: TopicPartition) -> None:
            claimant = self._claimants[place.partition]
            claimant.begin_transaction()
            within(_SECONDS, lambda: claimant.send_offsets_to_transaction([place], group, _SECONDS))
            claimant.commit_transaction(_SECONDS)

        _each(commit, self._places(_AHEAD_OF_ALL, writer))

    def _check(self, partition: int, writer: str) -> None:
        """A writer named by a claim gets fenced, so it must be one of this flow, whoever has written the claim."""
        if not writer.startswith(self._identity.writers_prefix):
            raise ForgedClaim(
                f"the consumer group {self._identity.claims_group} names {writer!r} as the writer of "
                f"{self._identity.topic}[{partition}], which is not a writer of this flow",
                "allow no other client to commit to that group, and delete the group while no worker runs",
            )

    def _places(self, offset: int = -1, metadata: str = "") -> list[TopicPartition]:
        return [TopicPartition(self._identity.topic, partition, offset, metadata) for partition in self._claimants]

    def _producer(self, transactional_id: str, **options: ClientOption) -> Producer:
        return Producer(self._config.client(transactional_id=transactional_id, **_PRODUCER, **options))

    def _begin(self, producer: Producer) -> None:
        """Fences the former producer of its id and aborts that one's transaction."""
        connected(producer, self._identity.topic).init_transactions(_SECONDS)


def _each(call: Callable[[_T], None], items: Iterable[_T]) -> None:
    """Calls `call` with all items concurrently: the calls only wait for the broker.

    Raises:
        KafkaException: the first of those raised, after all calls have ended.
    """
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for _ in threads.map(call, items):
            pass
