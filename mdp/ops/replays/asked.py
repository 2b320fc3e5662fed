"""What is asked of the replay service, and how requests are told apart."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from contracts.envelope import checksum
from contracts.payloads.replay_request import ReplayRequest
from contracts.payloads.replay_status import ReplayStatus
from contracts.registry import open_envelope
from contracts.timestamps import parse_timestamp

_MOST_BYTES: Final = 1_048_576  # a request names up to 1,000 symbols of 256 bytes
_SHOWN: Final = 300


class Asked(NamedTuple):
    """A request as it was asked.

    Attributes:
        id: its request_id, or else the digest.
        digest: of what it asks for: two requests with one digest ask for the same.
        request: None if it cannot be read.
        flaw: why it cannot.
    """

    id: str
    digest: str
    request: ReplayRequest | None
    flaw: str = ""


def asked(request: ReplayRequest) -> Asked:
    """A request by its id, or by what it asks for."""
    own = digest(request)
    return Asked(request.request_id or own, own, request)


def digest(request: ReplayRequest) -> str:
    """The same for requests that ask for the same, whatever their ids and reasons, and however they write times."""
    content = msgspec.to_builtins(request)
    for name in ("request_id", "reason"):
        content.pop(name, None)
    for name in content.keys() & {"start", "end"}:
        content[name] = parse_timestamp(content[name])
    for name in content.keys() & {"symbols", "keys"}:
        content[name] = sorted(set(content[name]))
    return checksum(msgspec.json.encode(content, order="sorted"))


def read_control(value: bytes | None) -> Asked | ReplayStatus | None:
    """What a record of the control topic says; None for messages of other types.

    A request that cannot be read is known by the digest of its bytes.
    """
    data = value or b""
    try:
        if len(data) > _MOST_BYTES:
            raise ValueError(f"{len(data):,} bytes are more than the {_MOST_BYTES:,} of a request")
        _, message = open_envelope(data)
    except (ValueError, RecursionError) as error:  # whatever the topic holds
        own = checksum(data)
        return Asked(own, own, None, f"it is no replay request in an envelope: {str(error)[:_SHOWN]}")
    if isinstance(message, ReplayRequest):
        return asked(message)
    return message if isinstance(message, ReplayStatus) else None
