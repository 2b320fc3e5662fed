"""Checksums, keys, ids and traces of many messages at once: those of each by itself, at a fraction of the cost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.envelope import CHECKSUM
from contracts.ids import joined_text
from contracts.message_ids import LENGTH, MOST_MS, VARIANTS
from contracts.trace_context import TRACEPARENT_BYTES
from native.sha256 import digests

CHECKSUM_BYTES: Final = len(CHECKSUM) + 64
_TRACE_DIGITS: Final = 32
_NO_TRACE: Final = b"00-%b-%b-00" % (bytes(32), bytes(16))
_VARIANTS: Final = np.array([ord(VARIANTS.get(chr(byte), "-")) for byte in range(256)], np.uint8)

_Bytes = npt.NDArray[np.uint8]

_joined: Final = lru_cache(maxsize=65_536)(joined_text)  # few symbols have what has to be escaped


def checksums(payloads: Sequence[bytes]) -> list[str]:
    """As `contracts.envelope.checksum` has it of each."""
    return checksum_texts(digests(payloads))


def checksum_texts(hashed: _Bytes) -> list[str]:
    """The checksums that have these digests."""
    return _cut(checksum_rows(hashed))


def checksum_rows(hashed: _Bytes) -> _Bytes:
    """The same, as the bytes of each."""
    texts = np.empty((len(hashed), CHECKSUM_BYTES), np.uint8)
    texts[:, : len(CHECKSUM)] = np.frombuffer(CHECKSUM.encode(), np.uint8)
    texts[:, len(CHECKSUM) :] = _hex(hashed)
    return texts


def idempotency_keys(
    event_type: str, source_id: str, subjects: Sequence[str], orders: Sequence[str], checksums: Sequence[str]
) -> list[str]:
    """What messages of a stream and a source have in common that say the same: the key to tell repetitions by.

    Args:
        event_type: the stream.
        source_id: the provider.
        subjects: what each is about, such as a symbol; empty if it does not say that.
        orders: of each the source's own number, or else the event time as it stands in the envelope.
        checksums: of the payloads.
    """
    begin = joined_text(event_type, source_id)
    said = zip(map(_joined, subjects), orders, checksums, strict=True)
    return checksum_texts(
        digests([f"{begin}|{subject}|{order}|{of_payload}".encode() for subject, order, of_payload in said])
    )


def message_ids(times_ns: Sequence[int], schema: str, keys: Sequence[str]) -> list[str]:
    """As `contracts.message_ids.message_id` has it of each of the messages of a schema."""
    before = schema.encode() + b"\0"
    hashed = _hex(digests([before + key.encode() for key in keys]))
    ms = np.clip(np.array(times_ns, np.int64) // 1_000_000, 0, MOST_MS).astype(">u8")
    when = _hex(ms.view(np.uint8).reshape(-1, 8))[:, 4:]
    ids = np.full((len(keys), LENGTH), ord("-"), np.uint8)
    ids[:, 0:8], ids[:, 9:13] = when[:, :8], when[:, 8:]
    ids[:, 14], ids[:, 15:18] = ord("7"), hashed[:, :3]
    ids[:, 19], ids[:, 20:23] = _VARIANTS[hashed[:, 3]], hashed[:, 4:7]
    ids[:, 24:] = hashed[:, 7:19]
    return _cut(ids)


def new_traces(ids: Sequence[bytes]) -> list[bytes]:
    """As `contracts.trace_context.new_trace` has it of each message id."""
    digits = np.frombuffer(b"".join(ids).replace(b"-", b""), np.uint8).reshape(-1, _TRACE_DIGITS)
    rows = np.empty((len(ids), TRACEPARENT_BYTES), np.uint8)
    rows[:] = np.frombuffer(_NO_TRACE, np.uint8)
    rows[:, 3 : 3 + _TRACE_DIGITS] = digits
    rows[:, 4 + _TRACE_DIGITS : -3] = digits[:, 16:]
    text = rows.tobytes()
    return [text[at : at + TRACEPARENT_BYTES] for at in range(0, len(text), TRACEPARENT_BYTES)]


def _hex(rows: _Bytes) -> _Bytes:
    """The hexadecimal digits of each row."""
    return np.frombuffer(rows.tobytes().hex().encode(), np.uint8).reshape(-1, 2 * rows.shape[1])


def _cut(rows: _Bytes) -> list[str]:
    """The rows as texts."""
    text, length = rows.tobytes().decode(), rows.shape[1]
    return [text[at : at + length] for at in range(0, len(text), length)]
