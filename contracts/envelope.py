"""The envelope: what carries a message over any bus, whatever its source.

An envelope's `event_type` names the stream, `schema_ref` the type of the payload, `source_id` the provider.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from contracts.columns import TableColumn, table_columns
from contracts.fields import ContractError
from contracts.message import MessageType
from contracts.values import END, Count, Count32, Int64, Text, Time, about

VERSION: Final = "1.0"  # of the wrapper
CHECKSUM: Final = "sha256:"  # what checksums begin with

_COLUMN: Final = "column"  # of the tables of payloads: what of the envelope is stored with each of them

EventType = Annotated[str, Meta(max_length=128, pattern=rf"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*{END}")]
SchemaRef = Annotated[
    str, Meta(max_length=256, pattern=rf"^utp://schemas/[a-z0-9_]+(/[a-z0-9_]+)*/v(0|[1-9][0-9]*){END}")
]
Checksum = Annotated[str, Meta(max_length=71, pattern=rf"^sha256:[0-9a-f]{{64}}{END}")]


class Watermark(msgspec.Struct, omit_defaults=True, gc=False):
    """Where a message stands in what its source sends."""

    partition: Annotated[Text, about("Which part of the source's messages.")]
    offset: Annotated[Count, about("Which of the messages of the partition.")]


class Handling(msgspec.Struct, omit_defaults=True, gc=False):
    """What happened to a message on its way."""

    trace_id: Annotated[Text, about("The trace that it is part of, as W3C has it.")] | None = None
    retry: Annotated[Count32, about("How many times it was sent again.", "times")] | None = None


class Envelope(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """The wrapper of every message from a source: where it comes from, when it happened, and what it holds."""

    envelope_version: Annotated[Literal["1.0"], about("Version of the wrapper.")]
    event_id: Annotated[Text, about("Tells messages apart: a UUIDv7, or the source's own id.")]
    event_type: Annotated[EventType, about("Names the stream: routes and stores it.", column="event_type")]
    source_id: Annotated[Text, about("The feed that it comes from.", column="source_id")]
    realm: Annotated[Text, about("Whose bus it travels on.")] | None = None
    region: Annotated[Text, about("Where it was taken in: US, EU, JP.")] | None = None
    schema_ref: Annotated[SchemaRef, about("The type of the payload.")]
    sequence: Annotated[Int64, about("The source's own number, if it has one.", column="sequence")] | None = None
    event_time: Annotated[Time, about("When it happened at the venue.", column="ts")]
    ingest_time: Annotated[Time, about("When it was taken in.", column="ingest_ts")]
    watermark: Annotated[Watermark, about("Where it stands in what its source sends.")] | None = None
    checksum: Annotated[Checksum, about("SHA-256 of the payload's bytes.", column="checksum")] | None = None
    payload: Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "object"}), about("The message itself.")]
    meta: Annotated[Handling, about("What happened to it on its way.")] | None = None

    def __post_init__(self) -> None:
        if memoryview(self.payload)[:1].tobytes() != b"{":
            raise ValueError("payload is not an object")


ENVELOPE_V1: Final = MessageType(
    name="envelope",
    version="1.0.0",
    struct=Envelope,
    examples=(
        {
            "envelope_version": "1.0",
            "event_id": "019a29c1-8f00-7abc-8def-0123456789ab",
            "event_type": "quotes.tick",
            "source_id": "ibkr",
            "realm": "chamber_us",
            "region": "US",
            "schema_ref": "utp://schemas/quotes/v2",
            "sequence": 126733918,
            "event_time": "2025-10-28T07:14:29.312Z",
            "ingest_time": "2025-10-28T07:14:29.987Z",
            "watermark": {"partition": "NQZ5", "offset": 987654321},
            "payload": {"symbol": "NQZ5", "venue": "CME", "bid": 6701.25, "ask": 6701.5, "bid_size": 8, "ask_size": 6},
            "meta": {"trace_id": "4b5b3f2a0f9d4e3db4c8a1f0e3a7c812", "retry": 0},
        },
    ),
)

# What of an envelope is stored with each message.
CARRIED: Final = tuple(
    TableColumn.of(field.extra[_COLUMN], field) for field in ENVELOPE_V1.fields if _COLUMN in field.extra
)

DEDUPE_KEY: Final = "dedupe_key"
_BESIDE: Final = (DEDUPE_KEY, "partition", "source_topic", "source_offset", "source_row", "offset", "row")


def checksum(payload: bytes | memoryview) -> str:
    """Of a payload as it stands in its envelope, every byte of it."""
    return CHECKSUM + sha256(payload).hexdigest()


def payload_of(envelope: Envelope, kind: MessageType) -> Any:
    """The message that an envelope holds, which is of the type that its schema_ref names.

    Raises:
        msgspec.ValidationError: it is not one of this type, or not the one of which the checksum is.
        msgspec.DecodeError: it is no JSON.
    """
    data = bytes(envelope.payload)
    if envelope.checksum is not None and envelope.checksum != checksum(data):
        raise msgspec.ValidationError("checksum is not that of the payload")
    return kind.decode(data)


def stored_columns(kind: MessageType) -> tuple[TableColumn, ...]:
    """Columns of the table of a type that comes in envelopes: those of the envelope, then those of the payload.

    Raises:
        ContractError: the payload has a field of the name of one of the envelope's columns, or of those beside them.
    """
    own = table_columns(kind.struct)
    names = {column.name for column in own}
    if twice := {column.name for column in CARRIED} & names:
        raise ContractError(f"{kind.id}: {', '.join(sorted(twice))} is a column of every envelope: take another name")
    if taken := names & set(_BESIDE):
        raise ContractError(f"{kind.id}: {', '.join(sorted(taken))} is a column of every table: take another name")
    return CARRIED + own
