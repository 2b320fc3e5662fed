"""What the records of a topic are about: the symbol and the event time of each of their messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, cast

import msgspec
import polars as pl

from codec.encoding import GZIP, unpacked
from codec.market_batch import MarketDecoder
from contracts.envelope import ENVELOPE_V1, Envelope
from contracts.message import MessageType
from contracts.record import Fetch, Record, Records, header_texts
from contracts.timestamps import parse_timestamp
from transports.kafka.topic_reader import Message

_ROWS: Final = {"record": pl.UInt32, "row": pl.Int64, "symbol": pl.String, "time": pl.Int64, "is_heartbeat": pl.Boolean}
_ENCODING: Final = "content_encoding"


class Rows(NamedTuple):
    """The messages in some records.

    Attributes:
        frame: `record`, the place of the record; `row` within it; `symbol`; `time` in nanoseconds; `is_heartbeat`.
        payloads: of the records.
        unreadable: number of messages that cannot be read or are of another version, which are not in the frame.
    """

    frame: pl.DataFrame
    payloads: Sequence[bytes | None]
    unreadable: int


class Reader(Protocol):
    """Reads the messages in records, which may hold anything."""

    def __call__(self, messages: Sequence[Message]) -> Rows: ...


@dataclass(frozen=True, slots=True)
class EventReader:
    """Reads records of the events topic: one event each, or many."""

    decoder: MarketDecoder

    def __call__(self, messages: Sequence[Message]) -> Rows:
        records = Records.of(cast(Sequence[Record], messages))
        batch = self.decoder.decode(Fetch(topic="", partition=0, next_offset=0, records=records))
        frame = batch.events.select(
            pl.col("record").cast(pl.UInt32),
            pl.col("row").cast(pl.Int64),
            "symbol",
            time="src_ts",
            is_heartbeat=pl.col("kind") == "heartbeat",
        )
        return Rows(frame, batch.payloads, batch.rejects.height)


class _Facts(NamedTuple):
    symbol: str | None
    time_ns: int


@dataclass(frozen=True, slots=True)
class MessageReader:
    """Reads records of one message each, by a function that raises ValueError where there is none."""

    facts: Callable[[bytes], _Facts]

    def __call__(self, messages: Sequence[Message]) -> Rows:
        found = [(place, self._facts_of(message)) for place, message in enumerate(messages)]
        rows = [(place, 0, facts.symbol, facts.time_ns, False) for place, facts in found if facts is not None]
        payloads = [message.value() for message in messages]
        return Rows(pl.DataFrame(rows, schema=_ROWS, orient="row"), payloads, len(found) - len(rows))

    def _facts_of(self, message: Message) -> _Facts | None:
        try:
            packed = message.value() or b""
            is_gzip = packed[:1] != b"{" and header_texts(message.headers()).get(_ENCODING) == GZIP
            return self.facts(unpacked(packed) if is_gzip else packed)
        except (ValueError, RecursionError):  # whatever the topic holds
            return None


def plain_messages(kind: MessageType, time_field: str) -> MessageReader:
    """A reader of messages of one type without envelopes, such as bars."""

    def facts(value: bytes) -> _Facts:
        message: Any = kind.decode(value)
        return _Facts(message.symbol, parse_timestamp(getattr(message, time_field)))

    return MessageReader(facts)


class _Payload(msgspec.Struct):
    symbol: str | None = None


_payload: Final = msgspec.json.Decoder(_Payload)


def envelopes(version: str | None) -> MessageReader:
    """A reader of canonical envelopes, of one major version of their type if given, such as v2."""

    def facts(value: bytes) -> _Facts:
        envelope: Envelope = ENVELOPE_V1.decode(value)
        if version is not None and not envelope.schema_ref.endswith(f"/{version}"):
            raise ValueError(f"not of version {version}")
        return _Facts(_payload.decode(envelope.payload).symbol, parse_timestamp(envelope.event_time))

    return MessageReader(facts)
