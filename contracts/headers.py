"""The headers of a message: what it is, who made it, when, for whom it is in order, and where its payload lies.

One declaration: the fields of `MessageHeaders` are the names on the wire, their types what the texts have to look like.
A header that nobody has declared here is left alone; one that is empty counts as absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

import msgspec

from contracts.record import CONTENT_TYPE, Headers, RecordHeaders, header_pairs
from contracts.timestamps import parse_timestamp
from contracts.trace_context import TRACEPARENT, is_traceparent, trace_id_of

MOST_BYTES: Final = 4096  # of one header that is declared here

_UUID: Final = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_SEMVER: Final = r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)([-+][0-9A-Za-z.+-]+)?$"

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_BYTES)]
Uuid = Annotated[str, msgspec.Meta(pattern=_UUID)]
SemVer = Annotated[str, msgspec.Meta(pattern=_SEMVER, max_length=64)]
Hex32 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-fA-F]{32}$")]
Hex16 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-fA-F]{16}$")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class HeaderError(ValueError):
    """The headers of a record are not those of a message.

    Attributes:
        names: of the headers that are at fault.
    """

    def __init__(self, names: tuple[str, ...], problem: str) -> None:
        super().__init__(f"header{'s' * (len(names) > 1)} {', '.join(names)}: {problem}")
        self.names = names


class MessageHeaders(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The headers of one message.

    Attributes:
        message_id: UUIDv7, the same for the same message in every run (`contracts.message_ids`).
        schema_fqdn: the type of the payload.
        schema_version: of the type, as Semantic Versioning; its major is in the type's name, too.
        content_type: the form of the payload, unpacked.
        produced_at: when it was handed to the bus, ISO 8601 with a zone.
        producer: the instance that sent it, `service@instance`.
        source: the system that the content came from first.
        run_id: what all messages of one run of the producer share.
        partition_key: what messages are in order by (`contracts.domain_keys`).
        content_encoding: how the payload, or the blob, is packed; None if it is not.
        traceparent: W3C Trace Context of what led to it.
        trace_id, span_id: the same in two headers, as producers write it that have no `traceparent`.
        dedupe_key: what is the same about messages that say the same.
        retry_count: how often it has been sent again after a failure.
        dlq_reason: why it is in a dead letter queue.
        schema_hash: of the schema that it was checked by.
        blob_ref, blob_hash, blob_size: where a payload lies that is too large for a record, `sha256:` and the digest
            of what lies there, and its bytes. All three or none.
    """

    message_id: Uuid
    schema_fqdn: Text
    schema_version: SemVer
    content_type: Text
    produced_at: Text
    producer: Text
    source: Text
    run_id: Text
    partition_key: Text
    content_encoding: Literal["gzip"] | None = None
    traceparent: Text | None = None
    trace_id: Hex32 | None = None
    span_id: Hex16 | None = None
    dedupe_key: Text | None = None
    retry_count: Count | None = None
    dlq_reason: Text | None = None
    schema_hash: Text | None = None
    blob_ref: Text | None = None
    blob_hash: Text | None = None
    blob_size: Count | None = None

    @property
    def produced_at_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return parse_timestamp(self.produced_at)

    @property
    def trace(self) -> str | None:
        """The trace that it belongs to, 32 hex digits."""
        return self.trace_id if self.traceparent is None else trace_id_of(self.traceparent)


NAMES: Final = MessageHeaders.__struct_fields__
REQUIRED: Final = tuple(field.name for field in msgspec.structs.fields(MessageHeaders) if field.required)

(
    MESSAGE_ID,
    SCHEMA_FQDN,
    SCHEMA_VERSION,
    MESSAGE_CONTENT_TYPE,  # written with an underscore here; records of mdp have the spelling of HTTP besides
    PRODUCED_AT,
    PRODUCER,
    SOURCE,
    RUN_ID,
    PARTITION_KEY,
) = REQUIRED
DEDUPE_KEY: Final = "dedupe_key"
RETRY_COUNT: Final = "retry_count"

_BLOB: Final = ("blob_ref", "blob_hash", "blob_size")
PACKING: Final = ("content_encoding", *_BLOB)  # what a value needs to be read


def encode_headers(headers: MessageHeaders) -> Headers:
    """As they are written, in the order of their declaration."""
    return pairs(**{name: getattr(headers, name) for name in NAMES})


def pairs(**values: str | int | None) -> Headers:
    """Some of the headers as they are written, without those that are None; what all records of a batch share, say.

    Raises:
        TypeError: a name is not declared.
    """
    if unknown := values.keys() - set(NAMES):
        raise TypeError(f"no headers of a message: {', '.join(sorted(unknown))}")
    return [(name, str(value).encode()) for name, value in values.items() if value is not None]


def decode_headers(headers: RecordHeaders) -> MessageHeaders:
    """The headers of a record, of which there may be any others besides.

    Of a header that comes again the last counts. A `traceparent` that W3C has ignored is left out.

    Raises:
        HeaderError: one is missing, or is not what it has to be.
    """
    texts = dict(_texts(headers))
    if missing := tuple(name for name in REQUIRED if name not in texts):
        raise HeaderError(missing, "missing")
    if not is_traceparent(texts.get(TRACEPARENT, "")):
        texts.pop(TRACEPARENT, None)
    try:
        found = msgspec.convert(texts, MessageHeaders, strict=False)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$.")
        raise HeaderError((place.rstrip("`") or "of a message",), problem) from None
    _check(found)
    return found


def _texts(headers: RecordHeaders) -> Iterator[tuple[str, str]]:
    """What is there of the declared headers."""
    for name, value in dict(_spelled(headers)).items():
        try:
            text = value.decode() if isinstance(value, bytes) else value
        except UnicodeDecodeError:
            raise HeaderError((name,), "no UTF-8") from None
        if text:
            yield name, text


def _spelled(headers: RecordHeaders) -> Iterator[tuple[str, Any]]:
    for name, value in header_pairs(headers):
        if name in NAMES:
            yield name, value
        elif name == CONTENT_TYPE:
            yield MESSAGE_CONTENT_TYPE, value


def _check(headers: MessageHeaders) -> None:
    """What the types do not say."""
    try:
        parse_timestamp(headers.produced_at)
    except ValueError as error:
        raise HeaderError((PRODUCED_AT,), str(error)) from None
    present = [name for name in _BLOB if getattr(headers, name) is not None]
    if present and len(present) < len(_BLOB):
        raise HeaderError(tuple(name for name in _BLOB if name not in present), f"missing beside {present[0]}")
