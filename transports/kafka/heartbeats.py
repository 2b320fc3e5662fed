"""Heartbeats: records that say that a provider had nothing to say."""

from __future__ import annotations

import msgspec

from contracts.timestamps import format_timestamp


def heartbeat_record(provider: str, src_ts: int) -> bytes:
    """The JSON of a heartbeat: event time of `provider` has come to `src_ts`, in nanoseconds."""
    return msgspec.json.encode(
        {"ver": 1, "kind": "heartbeat", "provider": provider, "src_ts": format_timestamp(src_ts)}
    )
