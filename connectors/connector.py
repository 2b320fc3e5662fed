"""What a connector is: it takes raw messages in from one source, and knows nothing about Kafka.

The runtime does the rest: it limits rates, holds a source back, reconnects, normalizes and sends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import polars as pl

from connectors.manifest import Manifest
from contracts.errors import MdpError
from normalize.mapping import MappingConfig

Raw = bytes  # a message of the source as JSON, as it came


class ConnectorError(MdpError):
    """A connector cannot be used as asked; one line says why."""


class Disconnected(Exception):  # noqa: N818 - says what happened
    """The connection to the source has ended; the runtime connects again."""


class Span(NamedTuple):
    """A span of event time, nanoseconds since the epoch: from `begin_ns` to before `end_ns`."""

    begin_ns: int
    end_ns: int


class Refusal(NamedTuple):
    """A raw message, or one of several in it, that was refused.

    Attributes:
        record: the index of the raw message.
        reason: undecodable, unmapped, mapping or contract.
        error: one line.
    """

    record: int
    reason: str
    error: str


class Receipt(NamedTuple):
    """What became of raw messages, once Kafka has acknowledged all of it.

    Attributes:
        accepted: messages that are in their topics.
        skipped: raw messages that no mapping is for, where these may be left out.
        refused: those in the DLQ.
    """

    accepted: int
    skipped: int
    refused: tuple[Refusal, ...]


class Emit(Protocol):
    """Takes raw messages over from a connector."""

    async def __call__(self, raw: Sequence[Raw], arrived_ns: int) -> None:
        """Hands messages over, in their order; waits while too many are on their way.

        Args:
            raw: JSON texts.
            arrived_ns: when they were received, nanoseconds since the epoch.
        """

    async def confirmed(self, raw: Sequence[Raw], arrived_ns: int) -> Receipt:
        """The same, and waits until Kafka has acknowledged what became of them.

        Raises:
            MdpError: Kafka did not acknowledge them; to hand them over again is safe.
        """


class Limiter(Protocol):
    """The rate limit of a source's API, shared by all of a connector's calls."""

    async def acquire(self, calls: int = 1) -> None:
        """Waits until this many calls may be made; at most the manifest's burst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a connector is asked for.

    Attributes:
        manifest: its own.
        symbols: as the source writes them; empty where the connector needs none.
        options: every option of the manifest, with its default where none was given.
        secrets: by name, all that the manifest requires.
        limiter: to be acquired before each call of the source's API.
    """

    manifest: Manifest
    limiter: Limiter
    symbols: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


class Connector(ABC):
    """Takes messages in from one source. Construction connects to nothing, and checks what it is asked for.

    Raises:
        ConnectorError: an option or a symbol cannot be used.
    """

    def __init__(self, request: Request) -> None:
        self.request: Final = request

    @property
    def source_id(self) -> str:
        """The provider that envelopes name: the connector's id, unless it is one for many venues."""
        return self.request.manifest.connector_id

    @property
    def may_miss(self) -> bool:
        """Whether the source sends on while nobody listens, so that there are gaps."""
        return True

    def is_contiguous(self, stream: str) -> bool:
        """Whether the numbers of a stream have no holes, for each symbol by itself: one that is missing is a gap."""
        return self.request.manifest.sequence == "contiguous"

    def has_history(self, stream: str) -> bool:
        """Whether `backfill` has the past of a stream, such as trades.tick."""
        return self.request.manifest.capabilities.backfill

    @abstractmethod
    async def live(self, emit: Emit) -> None:
        """Connect, and emit what comes until the connection ends, or all there is was emitted.

        The runtime calls it again after `Disconnected` and `OSError`, with a growing delay; that it returns means that
        nothing more will come.

        Raises:
            Disconnected, OSError: the connection cannot be made, or has ended.
            MdpError: another attempt would not help, as with a refused password.
        """

    def backfill(self, symbol: str, span: Span) -> AsyncIterator[Sequence[Raw] | pl.DataFrame]:
        """What a symbol sent in a span of time, oldest first, a page at a time: of connectors with this capability.

        Raises:
            Disconnected, OSError: the source does not answer.
            MdpError: another attempt would not help.
        """
        raise NotImplementedError(f"{self.request.manifest.connector_id} has no backfill of {symbol} in {span}")

    def mappings(self) -> Sequence[MappingConfig]:
        """How raw messages become canonical ones; those of the manifest, unless they depend on the options."""
        return self.request.manifest.mapping


def raw_of(page: Sequence[Raw] | pl.DataFrame) -> list[Raw]:
    """The raw messages of a page of the past.

    Raises:
        ConnectorError: it holds columns, which are no messages of a feed.
    """
    if isinstance(page, pl.DataFrame):
        raise ConnectorError("the past of this connector comes in columns, which cannot be taken in as messages")
    return list(page)
