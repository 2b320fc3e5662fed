"""Canonical messages from files, to send in envelopes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl

from codec.message_keys import new_traces
from codec.output_headers import Sender, of_known, of_schema
from connectors.files.errors import FileError
from connectors.files.maps import FileMap
from connectors.files.reader import Reading, Remark, names_of
from connectors.files.times import TimeUnit
from contracts.headers import SOURCE
from contracts.message import MessageType
from contracts.record import Headers
from contracts.registry import message_type
from contracts.schema_names import name_of
from mdp.ops.file_events import readable
from normalize.envelopes import Accepted
from normalize.feed import Feed
from normalize.frames import EVENT_TIME, SEQUENCE, FrameEnvelopes
from transports.kafka.producer import Keyed
from transports.outgoing import GOOD, with_disorder

_OF_FILES: Final = {"src_ts": EVENT_TIME, "seq": SEQUENCE}  # what canonical frames call it


class Made(NamedTuple):
    """What rows of one provider became.

    Attributes:
        rows: all of them.
        messages: those that keep the contract.
        errors: by the places of the others in `rows`, why they do not.
    """

    rows: pl.DataFrame
    messages: Accepted
    errors: dict[int, str]


def made_of(kind: MessageType, frames: Iterator[pl.DataFrame], realm: str | None) -> Iterator[Made]:
    """Makes envelopes of the rows of files, which have no flaws."""
    envelopes = cache(lambda provider: FrameEnvelopes(kind, Feed(provider, realm)))
    for frame in frames:
        for rows in frame.partition_by("provider", maintain_order=True):
            yield Made(rows, *envelopes(rows["provider"][0]).of(rows.rename(_OF_FILES), time.time_ns()))


@dataclass(frozen=True, slots=True)
class MessageFiles:
    """Files of messages of a type that travels in envelopes.

    Attributes:
        paths: the files, which are merged by time.
        columns: their map.
        unit, zone, remark: see `Reading`.
    """

    paths: Sequence[Path]
    columns: FileMap
    unit: TimeUnit | None = None
    zone: str | None = None
    remark: Remark = field(default=lambda _: None)

    @property
    def kind(self) -> MessageType:
        """The type of the messages."""
        return message_type(self.columns.type)

    @property
    def reading(self) -> Reading:
        """How the files are read."""
        return Reading.of_map(self.columns, self.unit, self.zone, self.remark)

    def rows(self) -> Iterator[pl.DataFrame]:
        """Yields all rows as frames of the type's fields, with the columns that `Sent` counts.

        Raises:
            FileError: a file cannot be read, lacks a column, or has a value that does not fit its field.
        """
        newest: int | None = None
        for frame in readable(self.paths, self.reading):
            chunk, newest = with_disorder(frame.drop("raw").with_columns(label=pl.lit(GOOD)), newest)
            yield chunk if "symbol" in chunk.columns else chunk.with_columns(symbol=pl.lit(None, pl.String))

    def records(
        self, frames: Iterator[pl.DataFrame], realm: str, sender: Sender
    ) -> Iterator[tuple[pl.DataFrame, Keyed]]:
        """Yields frames of `rows`, each with the records of its envelopes.

        Raises:
            FileError: a row breaks the contract of the type.
        """
        for made in made_of(self.kind, frames, realm):
            if made.errors:
                first = min(made.errors)
                file, row = made.rows.select("file", "row").row(first)
                raise FileError(f"{names_of(self.paths, self.reading)[file]}, row {row}: {made.errors[first]}")
            yield made.rows, self._keyed(made, sender.headers(time.time_ns()))

    def _keyed(self, made: Made, flush: Headers) -> Keyed:
        messages = made.messages
        common = [*of_schema(name_of(self.kind)), (SOURCE, str(made.rows["provider"][0]).encode()), *flush]
        ids, keys, ordered_by = (
            [text.encode() for text in column]
            for column in (messages.message_ids, messages.dedupe_keys, messages.partition_keys)
        )
        headers = [common + own for own in map(of_known, ids, keys, ordered_by, new_traces(ids))]
        return Keyed(messages.keys, messages.values, headers)
