"""One micro-batch of events from fetches: plain ticks by a scan, all other records by a reader of their form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Protocol

import polars as pl

from codec.refused import count_rows
from codec.ticks import TickReader
from contracts.batch import NO_REFUSED, MicroBatch, Outcomes
from contracts.binary import BinaryColumn, Chained
from contracts.record import Fetch, Records

Read = Callable[[Records, Sequence[int]], tuple[pl.DataFrame, pl.DataFrame]]


class MarketDecoder(Protocol):
    """Decodes the records of a topic to events.

    Attributes:
        window_ns: length of a window.
        max_future_ns: how far an event's time may be ahead of its record's timestamp.
    """

    @property
    def window_ns(self) -> int: ...
    @property
    def max_future_ns(self) -> int: ...

    def decode(self, fetch: Fetch) -> MicroBatch:
        """The events of a fetch, and its rejects with their reasons. It never raises, whatever the topic contains."""

    def decode_all(self, fetches: Iterable[Fetch]) -> MicroBatch:
        """One micro-batch from at least one fetch; each is decoded before the next is requested."""


def micro_batch(fetches: Iterable[Fetch], ticks: TickReader, read: Read) -> MicroBatch:
    """One micro-batch from at least one fetch; each is decoded before the next is requested.

    Args:
        fetches: of one partition, in the order of its log.
        ticks: a new reader, for the plain ticks.
        read: returns (EVENTS, REFUSED) of chosen records of a fetch, each in log order.
    """
    payloads: list[BinaryColumn] = []
    traces: list[BinaryColumn] = []
    others: list[pl.DataFrame] = []
    rejects: list[pl.DataFrame] = []
    start = 0
    for fetch in fetches:
        payloads.append(fetch.records.values)
        traces.append(fetch.records.traces)
        rest = ticks.read(fetch.records, start)
        if rest:
            good, bad = read(fetch.records, rest)
            others.append(good.with_columns(pl.col("record") + start) if start else good)
            rejects.append(bad)
        start += len(fetch.records)
    refused = pl.concat(rejects) if rejects else NO_REFUSED
    return MicroBatch(
        topic=fetch.topic,
        partition=fetch.partition,
        next_offset=fetch.next_offset,
        read_at=fetch.read_at,
        events=in_order([ticks.frame(), *others]),
        payloads=Chained(payloads),
        traces=Chained(traces),
        rejects=refused,
        outcomes=Outcomes(rejected=count_rows(refused)),
    )


def in_order(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Merges frames that are each in log order."""
    filled = [frame for frame in frames if frame.height]
    if len(filled) < 2:
        return filled[0] if filled else frames[0]
    joined = pl.concat(filled, rechunk=True)
    follow = all(before["record"][-1] < after["record"][0] for before, after in pairwise(filled))
    return joined if follow else joined.sort("record", "row")
