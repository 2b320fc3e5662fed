"""Stubs of refused records that are too large to be written as a whole: their beginning, and a description.

The original record is in the log, at the origin in the stub's headers, for as long as its retention lasts.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

import msgspec

from contracts.budgets import STUB_BYTES, WHOLE_BYTES


class Stub(msgspec.Struct, frozen=True):
    """A record that stays in the log: the sizes of its value and key, and the hex digest of its value."""

    value_bytes: int
    key_bytes: int
    sha256: str
    original: str = "in the log, at the source that the headers name, as long as its retention lasts"

    @classmethod
    def of(cls, key: bytes | None, value: bytes | None) -> Stub:
        return cls(len(value or b""), len(key or b""), _digest(value))

    def is_of(self, value: bytes | None) -> bool:
        """Whether this is the original value."""
        return _digest(value) == self.sha256


class Body(NamedTuple):
    """Key and value of a refused record for output; with a `Stub`, as JSON, if they are truncated."""

    key: bytes | None
    value: bytes | None
    stub: bytes | None = None

    @classmethod
    def of(cls, key: bytes | None, value: bytes | None) -> Body:
        """Truncates them if they are larger than WHOLE_BYTES together."""
        if len(key or b"") + len(value or b"") <= WHOLE_BYTES:
            return cls(key, value)
        return cls(key and key[:STUB_BYTES], value and value[:STUB_BYTES], msgspec.json.encode(Stub.of(key, value)))


_decoder: Final = msgspec.json.Decoder(Stub)


def read_stub(header: bytes | None) -> Stub | None:
    """Parses the header; None if it is missing or invalid, as other programs may write headers, too."""
    try:
        return None if header is None else _decoder.decode(header)
    except ValueError:
        return None


def _digest(value: bytes | None) -> str:
    return hashlib.sha256(value or b"").hexdigest()
