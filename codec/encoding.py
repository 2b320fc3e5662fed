"""The payload of a message and the value of its record: packed where it is large, elsewhere where it is very large.

    payload            value of the record                     headers
    up to 128 KiB      the payload
    up to 1 MiB        the payload, by gzip                    content_encoding
    above              nothing                                 content_encoding, blob_ref, blob_hash, blob_size

The same payload always makes the same value. What somebody else has written is unpacked within a bound that is checked
while it is unpacked, whatever it says of itself, and a blob is asked for only if what is said of its size is within it.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from contracts.budgets import BLOB_ABOVE_BYTES, BLOB_BYTES, GZIP_ABOVE_BYTES, RECORD_BYTES
from contracts.headers import MessageHeaders

GZIP: Final = "gzip"
_WITH_GZIP_HEADER: Final = 31
_LEVEL: Final = 6
_SIZE_BYTES: Final = 4  # at the end of a stream: how much it unpacks to


class EncodingError(ValueError):
    """The payload cannot be had from a record, and never will be: one line says why."""


class Blob(NamedTuple):
    """A payload outside of its record: where it lies, `sha256:` and the digest of what lies there, its bytes."""

    ref: str
    hash: str
    size: int


class Blobs(Protocol):
    """Where payloads lie that are too large for a record; `transports.blobs` has some."""

    def write(self, data: bytes) -> Blob:
        """Returns when it is there to stay, under a name that follows from what it is."""

    def read(self, blob: Blob) -> bytes:
        """What lies there, no larger than it says, and with that digest.

        Raises:
            EncodingError: it is not what the pointer says, or lies elsewhere.
            MdpError: the store does not answer.
        """


@dataclass(frozen=True, slots=True)
class PayloadCodec:
    """Payloads to values of records and back.

    Attributes:
        blobs: for payloads above 1 MiB; without it there can be none.
    """

    blobs: Blobs | None = None

    def encode(self, payload: bytes, headers: MessageHeaders) -> tuple[bytes, MessageHeaders]:
        """The value of the record, and its headers, which say how it is packed, or where it lies.

        Raises:
            EncodingError, MdpError: as `pack`.
        """
        value, packing = self.pack(payload)
        return value, msgspec.structs.replace(headers, **packing) if packing else headers

    def pack(self, payload: bytes) -> tuple[bytes, dict[str, Any]]:
        """The value of the record, and the headers that say how it is packed, or where it lies; none if it is not.

        A blob is there before this returns, so that no record ever points to what is not.

        Raises:
            EncodingError: there is no store for so large a payload, or none may be so large.
            MdpError: the blob store does not answer.
        """
        if len(payload) <= GZIP_ABOVE_BYTES:
            return payload, {}
        if len(payload) > RECORD_BYTES:
            raise EncodingError(f"a payload of {len(payload):,} bytes is above the {RECORD_BYTES:,} that one may have")
        packed = gzip.compress(payload, _LEVEL, mtime=0)
        if len(payload) <= BLOB_ABOVE_BYTES:
            return packed, {"content_encoding": GZIP}
        if self.blobs is None:
            raise EncodingError(f"a payload of {len(payload):,} bytes is above {BLOB_ABOVE_BYTES:,}: name a blob store")
        blob = self.blobs.write(packed)
        where = {"blob_ref": blob.ref, "blob_hash": blob.hash, "blob_size": blob.size}
        return b"", {"content_encoding": GZIP, **where}

    def decode(self, value: bytes, headers: MessageHeaders) -> bytes:
        """The payload of a record.

        Raises:
            EncodingError: it is damaged, becomes more than a payload may, or lies where nothing is read from.
            MdpError: the blob store does not answer.
        """
        data = value if headers.blob_ref is None else self._fetched(value, headers)
        return data if headers.content_encoding is None else unpacked(data)

    def _fetched(self, value: bytes, headers: MessageHeaders) -> bytes:
        blob = Blob(headers.blob_ref or "", headers.blob_hash or "", headers.blob_size or 0)
        if value:
            raise EncodingError(f"the record has a value of {len(value):,} bytes, and points to a blob besides")
        if self.blobs is None:
            raise EncodingError(f"the payload lies at {blob.ref}, and no blob store is named")
        if blob.size > BLOB_BYTES:
            raise EncodingError(f"a blob of {blob.size:,} bytes is above the {BLOB_BYTES:,} that one may have")
        return self.blobs.read(blob)


def unpacked_size(value: bytes | memoryview) -> int:
    """The bytes that a value becomes, as it says at its end; of one that lies elsewhere, the most that it may become.

    What says too little is not unpacked any further.
    """
    size = int.from_bytes(value[-_SIZE_BYTES:], "little") if len(value) else RECORD_BYTES
    return min(size, RECORD_BYTES)


def unpacked(data: bytes, most: int = RECORD_BYTES) -> bytes:
    """What gzip has packed, as one stream.

    Raises:
        EncodingError: it is damaged, or becomes more than `most` bytes, or than it says.
    """
    stream, size = zlib.decompressobj(_WITH_GZIP_HEADER), unpacked_size(data)
    try:
        payload = stream.decompress(data, min(most, size) + 1)
    except zlib.error as error:
        raise EncodingError(f"no gzip stream: {error}") from None
    if most >= len(payload) > size:
        raise EncodingError(f"it unpacks to more than the {size:,} bytes that it says")
    if len(payload) > most:
        raise EncodingError(f"it unpacks to more than the {most:,} bytes that a payload may have")
    if not stream.eof:
        raise EncodingError("the gzip stream is cut off")
    if stream.unused_data:
        raise EncodingError(f"{len(stream.unused_data):,} bytes follow the gzip stream")
    return payload
