"""Raw messages that became none, as records of the DLQ: with their original bytes and the reason."""

from __future__ import annotations

from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from codec.output_headers import of_message, of_schema
from codec.output_records import DLQ_ERROR, DLQ_REASON, FAILED_AT, FLOW, STUB
from codec.stubs import Body, Stub
from contracts.ids import joined_text
from contracts.record import Headers
from contracts.schema_names import RAW
from contracts.timestamps import format_timestamp
from normalize.normalizer import Rejected

_NOWHERE: Final = "not kept: it was too large to be refused as a whole, and a connector has no log of what it takes in"


class RefusedRecord(NamedTuple):
    """A record of the DLQ.

    Attributes:
        id: the same for the same raw message and reason.
    """

    id: str
    value: bytes
    headers: Headers


def refused_record(raw: bytes, why: Rejected, connector: str, source_id: str, arrived_ns: int) -> RefusedRecord:
    """The record of a raw message; of one that is too large, of its beginning.

    Args:
        raw: its bytes.
        why: the reason.
        connector: who has taken it in.
        source_id: whose it is.
        arrived_ns: when, nanoseconds since the epoch.
    """
    body, own_id = Body.of(None, raw), joined_text(source_id, sha256(raw).hexdigest(), why.reason)
    headers: Headers = [
        *of_schema(RAW),
        (FLOW, f"connect-{connector}".encode()),
        (DLQ_REASON, why.reason.encode()),
        (DLQ_ERROR, why.error.encode()),
        (FAILED_AT, format_timestamp(arrived_ns).encode()),
        *of_message(RAW, arrived_ns, own_id, source_id.encode(), source_id),
    ]
    if body.stub is not None:
        stub = msgspec.structs.replace(Stub.of(None, raw), original=_NOWHERE)
        headers.append((STUB, msgspec.json.encode(stub)))
    return RefusedRecord(own_id, body.value or b"", headers)
