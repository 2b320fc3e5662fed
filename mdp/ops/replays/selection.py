"""Which messages a replay request asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from contracts.headers import PARTITION_KEY
from contracts.payloads.replay_request import ReplayRequest
from contracts.record import header_texts
from contracts.timestamps import parse_timestamp
from mdp.ops.record_parts import RecordPart, chosen_parts
from mdp.ops.replays.readers import Reader
from mdp.ops.span import Span
from transports.kafka.topic_reader import Message


@dataclass(frozen=True, slots=True)
class Selection:
    """A choice of messages; None does not restrict.

    Heartbeats have no symbol, and come along with those of any symbols: they close the same windows again.

    Attributes:
        span: of their event times.
        symbols: of the messages.
        keys: of their records.
        ordered_by: the header `partition_key` of their records.
    """

    span: Span | None = None
    symbols: frozenset[str] | None = None
    keys: frozenset[bytes] | None = None
    ordered_by: str | None = None

    @classmethod
    def of(cls, request: ReplayRequest) -> Selection:
        """What a request asks for."""
        span = None
        if request.start is not None and request.end is not None:
            span = Span(parse_timestamp(request.start), parse_timestamp(request.end))
        symbols = None if request.symbols is None else frozenset(request.symbols)
        keys = None if request.keys is None else frozenset(key.encode() for key in request.keys)
        return cls(span, symbols, keys, request.subtopic)

    def parts(self, messages: Sequence[Message], read: Reader) -> tuple[list[RecordPart], int]:
        """The chosen messages, and how many of those with the right key are unreadable."""
        keyed = list(self._keyed(messages))
        if not keyed:
            return [], 0
        rows = read(keyed)
        frame = rows.frame.with_columns(inside=self._inside())
        return list(chosen_parts(keyed, rows.payloads, frame)), rows.unreadable

    def _keyed(self, messages: Sequence[Message]) -> Iterator[Message]:
        for message in messages:
            if self.keys is not None and _bytes(message.key()) not in self.keys:
                continue
            if self.ordered_by is None or header_texts(message.headers()).get(PARTITION_KEY) == self.ordered_by:
                yield message

    def _inside(self) -> pl.Expr:
        timed = pl.lit(value=True) if self.span is None else self.span.holds("time")
        if self.symbols is None:
            return timed
        named = pl.col("symbol").is_in(list(self.symbols)).fill_null(value=False)
        return timed & (named | pl.col("is_heartbeat"))


def _bytes(key: str | bytes | None) -> bytes | None:
    """A key as bytes; the client declares it as bytes or str."""
    return key.encode() if isinstance(key, str) else key
