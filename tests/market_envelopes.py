"""The market of the end-to-end tests, as trades in canonical envelopes."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import polars as pl

from contracts.envelope import checksum
from contracts.timestamps import format_timestamp
from tests.harness import produce_on_time
from tests.market import PARTITIONS, chunks, empty_topic

Trade = tuple[str, str, str, int, int | None, float, float]  # event_id, provider, symbol, src_ts, seq, price, size


def envelope(trade: Trade, side: str | None = None) -> bytes:
    """A trade; of every second one the checksum is there, too."""
    event_id, provider, symbol, src_ts, seq, price, size = trade
    payload = msgspec.json.encode({"symbol": symbol, "price": price, "size": size, "side": side, "venue": "TEST"})
    told = {
        "envelope_version": "1.0",
        "event_id": event_id,
        "event_type": "trades.tick",
        "source_id": provider,
        "schema_ref": "utp://schemas/trades/v2",
        "sequence": seq,
        "event_time": format_timestamp(src_ts),
        "ingest_time": format_timestamp(src_ts),
        "payload": msgspec.Raw(payload),
    }
    return msgspec.json.encode(told | ({"checksum": checksum(payload)} if src_ts // 1_000 % 2 else {}))


def envelope_chunks(count: int, symbols: int = 100) -> Iterator[pl.DataFrame]:
    """Of the same events as `chunks`, and what is malformed among them as it is."""
    names = ("raw", "event_id", "provider", "symbol", "src_ts", "seq", "c", "v")
    for chunk in chunks(count, symbols):
        values = [envelope(tuple(row)) if raw is None else raw for raw, *row in chunk.select(names).iter_rows()]
        yield chunk.with_columns(raw=pl.Series(values, dtype=pl.Binary))


def envelope_topic(kafka: str, count: int, symbols: int = 100) -> str:
    """A topic like `market_topic`'s, of envelopes."""
    topic = empty_topic(kafka)
    produce_on_time(kafka, topic, envelope_chunks(count, symbols), PARTITIONS)
    return topic
