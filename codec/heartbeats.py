"""Heartbeats as they are written: records that advance the event time of a provider without new events."""

from __future__ import annotations

from functools import partial
from typing import Protocol

import msgspec

from contracts.envelope import ENVELOPE_V1, Envelope
from contracts.ids import joined_text
from contracts.message_ids import message_id
from contracts.payloads.heartbeat import HEARTBEAT_V1, Heartbeat
from contracts.schema_names import name_of
from contracts.timestamps import format_timestamp


class EncodeHeartbeat(Protocol):
    """The record that says that the event time of `provider` has reached `src_ts`, in nanoseconds."""

    def __call__(self, provider: str, src_ts: int) -> bytes: ...


def event_heartbeat(provider: str, src_ts: int) -> bytes:
    """The JSON of a heartbeat of Event v1."""
    return msgspec.json.encode(
        {"ver": 1, "kind": "heartbeat", "provider": provider, "src_ts": format_timestamp(src_ts)}
    )


def envelope_heartbeats(flow: str) -> EncodeHeartbeat:
    """Heartbeats in envelopes, of this dataflow."""
    return partial(_envelope, HEARTBEAT_V1.encode(Heartbeat(flow=flow)))


def _envelope(payload: bytes, provider: str, src_ts: int) -> bytes:
    time = format_timestamp(src_ts)
    envelope = Envelope(
        envelope_version="1.0",
        event_id=message_id(src_ts, name_of(HEARTBEAT_V1).fqdn, joined_text(provider, time).encode()),
        event_type=HEARTBEAT_V1.event_type or "",
        source_id=provider,
        schema_ref=HEARTBEAT_V1.schema_ref,
        event_time=time,
        ingest_time=time,
        payload=msgspec.Raw(payload),
    )
    return ENVELOPE_V1.encode(envelope)
