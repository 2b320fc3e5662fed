"""Ids of messages: UUIDv7 (RFC 9562) that say when and what, and are the same in every run.

The 48 bits of time are those of the event, in milliseconds since the epoch, so that ids are in the order of time. The
74 bits that the RFC leaves to chance are the first of a SHA-256 of what the message is: its schema and its key. So a
message that is made again, by a replay or after a crash, has the id it had.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

VARIANTS: Final = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))  # two bits 10, and two of the digest
MOST_MS: Final = 2**48 - 1
LENGTH: Final = 36  # of an id

_TIME: Final = re.compile(r"[0-9a-fA-F]{12}")


def message_id(time_ns: int, schema: str, key: bytes) -> str:
    """The id of the message of this schema that has this key.

    Args:
        time_ns: of the event, in nanoseconds since the epoch; one before that counts as its begin.
        schema: the name of the type, as in `schema_fqdn`.
        key: tells it from all others of the schema that have been or will be.
    """
    time = f"{min(max(time_ns // 1_000_000, 0), MOST_MS):012x}"
    digest = sha256(b"%b\0%b" % (schema.encode(), key)).hexdigest()
    return f"{time[:8]}-{time[8:]}-7{digest[:3]}-{VARIANTS[digest[3]]}{digest[4:7]}-{digest[7:19]}"


def time_of(message_id: str) -> int:
    """The time of an id, in nanoseconds since the epoch; that of an id of another form means nothing."""
    digits = message_id.replace("-", "")[:12]
    return int(digits, 16) * 1_000_000 if _TIME.fullmatch(digits) else 0
