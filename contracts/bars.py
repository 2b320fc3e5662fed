"""Bars as records of the bars topic, read back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
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


def decode_bars(fetches: Iterable[Fetch]) -> MicroBatch:
    """The bars of at least one fetch, caused by their own records; what cannot be read is rejected."""
    bars: list[Bar] = []
    offsets: list[int] = []
    rejects: list[tuple[object, ...]] = []
    parts = list(fetches)
    for record in chain.from_iterable(part.records for part in parts):
        value = record.value()
        try:
            bars.append(_decoder.decode(value or b""))
            offsets.append(record.offset())
        except Exception as error:
            rejects.append((record.offset(), 0, UNDECODABLE, str(error), JSON, record.key(), value))
    return MicroBatch(
        topic=parts[-1].topic,
        partition=parts[-1].partition,
        next_offset=parts[-1].next_offset,
        read_at=parts[-1].read_at,
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
