"""Raw messages to envelopes, many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any, Final, NamedTuple

import msgspec

from codec.refused import one_line
from contracts.errors import MdpError
from contracts.message import MessageType
from contracts.record import TOMBSTONE, Buffer
from contracts.registry import message_type
from normalize.declared import DeclaredMapper
from normalize.envelopes import Accepted, Envelopes
from normalize.feed import Arrivals, Feed
from normalize.mapping import MappingConfig, load_mappings
from normalize.paths import MappingError
from normalize.programs import by_function, by_jq
from normalize.rows import CONTRACT, MAPPING, UNDECODABLE, UNMAPPED, Mapper
from normalize.selection import Selection

_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_FOR_NONE: Final = "no mapping is for it"


class Rejected(NamedTuple):
    """A raw message, or one of several in it, that became no envelope.

    Attributes:
        record: its index.
        number: which of the messages in it; 0 if it is all of it.
        reason: undecodable, unmapped, mapping or contract.
        error: one line, which names the place.
    """

    record: int
    number: int
    reason: str
    error: str


class Normalized(NamedTuple):
    """What raw messages became.

    Attributes:
        accepted: by type of message, each in the order of the raw messages.
        rejected: in that order.
        skipped: how many raw messages no mapping was for, where these may be left out.
    """

    accepted: list[Accepted]
    rejected: list[Rejected]
    skipped: int


class Normalizer:
    """Maps and validates the raw messages of a feed. The first mapping whose `where` holds is the one for a message.

    Args:
        mappings: at least one.
        feed: whose messages they are.
        skip_unmapped: leave out messages that no mapping is for; without it they are rejected.

    Raises:
        MdpError: a mapping or the feed is invalid; one line says what is allowed.
    """

    def __init__(self, mappings: Sequence[MappingConfig], feed: Feed, *, skip_unmapped: bool = False) -> None:
        feed.check()
        self.feed: Final = feed
        self._envelopes = [Envelopes(message_type(mapping.type), feed) for mapping in mappings]
        self._mappers = [mapper_of(mapping) for mapping in mappings]
        self._select = Selection([mapping.where for mapping in mappings]).select
        self._skips = skip_unmapped

    @classmethod
    def of_file(cls, file: File, feed: Feed, *, skip_unmapped: bool = False) -> Normalizer:
        """By the mappings in a file; errors name it."""
        mappings = load_mappings(file)
        try:
            return cls(mappings, feed, skip_unmapped=skip_unmapped)
        except MdpError as error:
            raise MappingError(f"{file}: {error}", error.remedy) from error

    @property
    def kinds(self) -> list[MessageType]:
        """The types of messages that it makes, each once."""
        return list(dict.fromkeys(mapper.kind for mapper in self._mappers))

    def normalize(self, raw: Sequence[Buffer | None], arrivals: Arrivals) -> Normalized:
        """The envelopes of raw messages, and those that became none. It never raises, whatever they hold.

        Args:
            raw: JSON texts; None for a record without a value.
            arrivals: of each of them.
        """
        found = [_Found() for _ in self._mappers]
        rejected: list[Rejected] = []
        skipped, select, reads = 0, self._select, [mapper.read for mapper in self._mappers]
        for record, text in enumerate(raw):
            if text is None:
                rejected.append(Rejected(record, 0, UNDECODABLE, TOMBSTONE))
                continue
            try:
                chosen = select(text)
                if chosen is not None:
                    if parts := reads[chosen](text):
                        found[chosen].parts += parts
                        found[chosen].places.append((record, len(parts)))
                elif self._skips:
                    skipped += 1
                else:
                    rejected.append(Rejected(record, 0, UNMAPPED, _FOR_NONE))
            except _NOT_JSON as error:
                rejected.append(Rejected(record, 0, UNDECODABLE, one_line(error)))
            except ValueError as error:
                rejected.append(Rejected(record, 0, MAPPING, one_line(error)))
        accepted = self._accepted(found, arrivals, rejected)
        return Normalized(accepted, sorted(rejected), skipped)

    def _accepted(self, found: Sequence[_Found], arrivals: Arrivals, rejected: list[Rejected]) -> list[Accepted]:
        accepted = []
        for mapper, envelopes, one in zip(self._mappers, self._envelopes, found, strict=True):
            if not one.parts:
                continue
            columns, records, numbers = mapper.columns(one.parts), one.records, one.numbers
            made, errors = envelopes.of(columns, records, numbers, arrivals)
            accepted.append(made)
            rejected += _rejected(records, numbers, MAPPING, columns.errors)
            rejected += _rejected(records, numbers, CONTRACT, errors)
        return accepted


@dataclass(slots=True)
class _Found:
    """What was read for one mapping: the parts of raw messages that have any, and how many are of which."""

    parts: list[Any] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)

    @property
    def records(self) -> list[int]:
        """The raw message of each part."""
        if len(self.places) == len(self.parts):
            return [record for record, _ in self.places]
        return [record for record, count in self.places for _ in range(count)]

    @property
    def numbers(self) -> list[int]:
        """The number of each part in its raw message."""
        if len(self.places) == len(self.parts):
            return [0] * len(self.parts)
        return [number for _, count in self.places for number in range(count)]


def _rejected(records: list[int], numbers: list[int], reason: str, errors: Mapping[int, str]) -> list[Rejected]:
    return [Rejected(records[at], numbers[at], reason, one_line(ValueError(error))) for at, error in errors.items()]


def mapper_of(config: MappingConfig) -> Mapper:
    """What maps as a mapping says.

    Raises:
        MdpError: its type is unknown, or it does not fit its type.
    """
    kind = message_type(config.type)
    if config.jq is not None:
        return by_jq(config.jq, kind)
    return DeclaredMapper(config, kind) if config.python is None else by_function(config.python, kind)
