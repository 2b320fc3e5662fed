"""Heartbeats: records that say that a provider had nothing to say."""

from __future__ import annotations

import msgspec
import polars as pl

from contracts.timestamps import format_timestamps


def heartbeat_record(provider: str, src_ts: int) -> bytes:
    """The JSON of a heartbeat: event time of `provider` has come to `src_ts`, in nanoseconds."""
    time = format_timestamps(pl.Series([src_ts]))[0]
    return msgspec.json.encode({"ver": 1, "kind": "heartbeat", "provider": provider, "src_ts": time})
