"""What stands for a refused record that is too large to leave as it came: its beginning, and what it was.

The log holds the record itself as long as its retention lasts, at the place that the stub says it comes from.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

import msgspec

from contracts.budgets import STUB_BYTES, WHOLE_BYTES


class Stub(msgspec.Struct, frozen=True):
    """Of a record that stays in the log: how large its value and its key are, and the digest of its value, in hex."""

    value_bytes: int
    key_bytes: int
    sha256: str
    original: str = "in the log, at the source that the headers name, as long as its retention lasts"

    @classmethod
    def of(cls, key: bytes | None, value: bytes | None) -> Stub:
        return cls(len(value or b""), len(key or b""), _digest(value))

    def is_of(self, value: bytes | None) -> bool:
        """Whether this is the value that it stands for."""
        return _digest(value) == self.sha256


class Body(NamedTuple):
    """Key and value of a refused record as they leave; with a `Stub`, as JSON, where they are cut."""

    key: bytes | None
    value: bytes | None
    stub: bytes | None = None

    @classmethod
    def of(cls, key: bytes | None, value: bytes | None) -> Body:
        """Cut if they are larger than WHOLE_BYTES together."""
        if len(key or b"") + len(value or b"") <= WHOLE_BYTES:
            return cls(key, value)
        return cls(key and key[:STUB_BYTES], value and value[:STUB_BYTES], msgspec.json.encode(Stub.of(key, value)))


_decoder: Final = msgspec.json.Decoder(Stub)


def read_stub(header: bytes | None) -> Stub | None:
    """None where there is none, or something else, as others may write headers too."""
    try:
        return None if header is None else _decoder.decode(header)
    except ValueError:
        return None


def _digest(value: bytes | None) -> str:
    return hashlib.sha256(value or b"").hexdigest()
