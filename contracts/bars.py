"""Bars as records of the bars topic, read back."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import msgspec
import numpy as np
import polars as pl

from contracts.batch import MicroBatch, empty
from contracts.decode import UNDECODABLE
from contracts.frames import BARS, REFUSED
from contracts.record import JSON, Fetch
from contracts.timestamps import parse_timestamps


class Bar(msgspec.Struct, gc=False):
    """A record of the bars topic; times are ISO 8601 text, vwap is null when volume is 0."""

    provider: str
    symbol: str
    interval: str
    window_start: str
    window_end: str
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float | None
    trades: int
    revision: int


_decoder: Final = msgspec.json.Decoder(Bar)


def decode_bars(fetch: Fetch) -> MicroBatch:
    """The bars of a fetch, caused by their own records; what cannot be read is rejected."""
    bars: list[Bar] = []
    offsets: list[int] = []
    rejects: list[tuple[object, ...]] = []
    for record in fetch.records:
        value = record.value()
        try:
            bars.append(_decoder.decode(value or b""))
            offsets.append(record.offset())
        except Exception as error:
            rejects.append((record.offset(), 0, UNDECODABLE, str(error), JSON, record.key(), value))
    return MicroBatch(
        topic=fetch.topic,
        partition=fetch.partition,
        next_offset=fetch.next_offset,
        read_at=fetch.read_at,
        bars=_frame(bars, offsets) if bars else empty(BARS),
        rejects=pl.DataFrame(rejects, schema=REFUSED, orient="row"),
    )


def _frame(bars: list[Bar], offsets: list[int]) -> pl.DataFrame:
    columns = dict(zip(Bar.__struct_fields__, zip(*map(msgspec.structs.astuple, bars), strict=True), strict=True))
    times = {
        name: parse_timestamps(pl.Series(name, columns[name], pl.String)) for name in ("window_start", "window_end")
    }
    places = {"offset": np.array(offsets, np.int64), "row": np.zeros(len(offsets), np.int64)}
    return pl.DataFrame({**columns, **times, **places}, schema=BARS)


def without_bars(batch: MicroBatch) -> MicroBatch:
    """The batch without its bars: who wrote the topic has written them to the database."""
    return replace(batch, bars=empty(BARS))
