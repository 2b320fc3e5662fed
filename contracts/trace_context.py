"""W3C Trace Context: the header that ties a message to what led to it.

`traceparent` is `version-trace id-span id-flags` in hexadecimal digits. mdp makes no spans of its own: what one message
leads to carries its `traceparent` on as it is, and a message that no single one led to begins a trace that is not
sampled, named after its own id, so that whoever goes on from there has a parent.
"""

from __future__ import annotations

import re
from typing import Final

TRACEPARENT: Final = "traceparent"
TRACEPARENT_BYTES: Final = 55  # of version 00, and of the part of later versions that it prescribes

_FORM: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def is_traceparent(text: str) -> bool:
    """Whether W3C has it taken into account."""
    return _FORM.fullmatch(text) is not None


def carried(header: bytes | None) -> bytes | None:
    """A header to carry on; None where there is none, or one that has to be ignored."""
    return header if header is not None and is_traceparent(header.decode("latin-1")) else None


def trace_id_of(traceparent: str) -> str:
    """The 32 digits of the trace."""
    return traceparent[3:35]


def new_trace(message_id: str) -> bytes:
    """The `traceparent` of a message that begins a trace: its id is the trace's, and the end of it the span's."""
    digits = message_id.replace("-", "")
    return f"00-{digits}-{digits[16:]}-00".encode()
