"""What all blob stores keep to.

A blob's name follows from its digest, so that it is written once, whoever writes it how often, and never changes. A
pointer may come from anybody: it is followed only to places inside the store, by names that cannot lead out of it.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from codec.encoding import Blob, EncodingError
from contracts.errors import MdpError

_ALGORITHM: Final = "sha256:"
_PART: Final = re.compile(r"[A-Za-z0-9_=@+-][A-Za-z0-9_=@+.-]*")  # of a path: neither empty, nor `.`, nor `..`
_MOST_PARTS: Final = 16


class BlobStoreError(MdpError):
    """The store cannot be used, or does not answer."""


def digest(data: bytes) -> str:
    """As `blob_hash` has it."""
    return _ALGORITHM + sha256(data).hexdigest()


def name_of(blob_hash: str) -> str:
    """Where a blob of this digest lies in its store."""
    digits = blob_hash.removeprefix(_ALGORITHM)
    return f"{digits[:2]}/{digits}"


def path_within(base: str, ref: str) -> str:
    """The path of a pointer relative to the store that it has to lie in.

    Raises:
        EncodingError: it lies elsewhere, or might.
    """
    path = ref.removeprefix(f"{base}/")
    parts = path.split("/")
    if path == ref or len(parts) > _MOST_PARTS or not all(map(_PART.fullmatch, parts)):
        raise EncodingError(f"{ref[:200]!r} is no place in the blob store {base}")
    return path


def checked(data: bytes, blob: Blob) -> bytes:
    """The data, if it is what the pointer says.

    Raises:
        EncodingError: it is something else.
    """
    if len(data) != blob.size:
        raise EncodingError(f"{blob.ref} has {len(data):,} bytes, and should have {blob.size:,}")
    if digest(data) != blob.hash:
        raise EncodingError(f"{blob.ref} is not what it was: its digest is {digest(data)}")
    return data
