"""Who may write the outputs of a source partition: one writer at a time, however many believe that they may.

A writer is a transactional producer whose id nobody has had before. It writes for many partitions, so its id cannot say
which; that is what claims are for. The claim of a partition names its writer. It is kept as a committed offset's
metadata, and is only ever changed in a transaction of the claimant: a producer whose transactional id is the
partition's own. So of several that take a partition over, all but the last are fenced before they have it, and whoever
has it knows whom to fence. docs/delivery.md says why this suffices.
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
from transports.kafka.first_contact import EAGER, connected

_T = TypeVar("_T")

_SECONDS: Final = 30.0
_AT_ONCE: Final = 32
_AHEAD_OF_ALL: Final = 2**62  # as an offset: lag tools must not take a claim for a reader that is behind
_PRODUCER: Final[dict[str, ClientOption]] = {
    **EAGER,
    "retry_backoff_ms": 5,  # the broker asks for patience when one transaction follows another at once
}


class ForgedClaim(MdpError):  # noqa: N818 - says what is wrong
    """A claim that this program has not written."""


class Takeover:
    """Takes partitions over for a new writer, in four steps, each of all partitions at once.

    `lock`, `fence` and `claim` come in this order; then what the former writers have committed can be read back, as no
    more will follow. A takeover that stops on its way leaves the partitions without a writer, and can be done again.

    Every step raises KafkaException: if it is that of a fenced producer, another takeover has begun since; and `lock`
    raises ForgedClaim.
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
                isolation_level="read_committed",  # and a claim that is being made is waited for
                **EAGER,
            )
        )

    def __enter__(self) -> Takeover:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._claimants.clear()
        self._claims.close()

    def lock(self) -> dict[int, str]:
        """Fences all other claimants; the writer of each partition that has one.

        So it does to a writer of earlier versions of mdp, which wrote as the claimant does now.
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
        """Aborts what these writers have under way, and lets them begin nothing more."""
        _each(self._begin, map(self._producer, set(writers)))

    def writer(self, **options: ClientOption) -> tuple[str, Producer]:
        """A new writer, and its transactional id. It has begun already: a claim must not name one that still could.

        Otherwise it would be able to begin after it was fenced, and so to undo that.
        """
        name = f"{self._identity.writers_prefix}{uuid.uuid4().hex}"
        producer = self._producer(name, **options)
        self._begin(producer)
        return name, producer

    def claim(self, writer: str) -> None:
        """Names the writer of all the partitions."""
        group = self._claims.consumer_group_metadata()

        def commit(place: TopicPartition) -> None:
            claimant = self._claimants[place.partition]
            claimant.begin_transaction()
            claimant.send_offsets_to_transaction([place], group, _SECONDS)
            claimant.commit_transaction(_SECONDS)

        _each(commit, self._places(_AHEAD_OF_ALL, writer))

    def _check(self, partition: int, writer: str) -> None:
        """Whom a claim names is fenced, and so must not be a stranger, whoever has written the claim."""
        if not writer.startswith(self._identity.writers_prefix):
            raise ForgedClaim(
                f"the consumer group {self._identity.claims_group} names {writer!r} as the writer of "
                f"{self._identity.topic}[{partition}], which is no writer of this flow",
                "let nobody else commit to that group, and delete it while no worker runs",
            )

    def _places(self, offset: int = -1, metadata: str = "") -> list[TopicPartition]:
        return [TopicPartition(self._identity.topic, partition, offset, metadata) for partition in self._claimants]

    def _producer(self, transactional_id: str, **options: ClientOption) -> Producer:
        return Producer(self._config.client(transactional_id=transactional_id, **_PRODUCER, **options))

    def _begin(self, producer: Producer) -> None:
        """Fences the former producer of its id, and aborts the transaction of that one."""
        connected(producer, self._identity.topic).init_transactions(_SECONDS)


def _each(call: Callable[[_T], None], items: Iterable[_T]) -> None:
    """Calls with each of them at once: all of it is waiting for the broker.

    Raises:
        KafkaException: the first of those raised, all calls having ended.
    """
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for _ in threads.map(call, items):
            pass
