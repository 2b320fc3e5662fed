"""Topics of very many symbols and providers, in few records."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
import pyarrow as pa

from contracts.budgets import RECORD_ROWS
from tests.codec.bombs import compressed, ticks

START = 1_761_314_400  # seconds; a whole window
SYMBOLS = 1_000_000
PROVIDERS = 200_000

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]


def record(symbols: Numbers, seconds: Numbers, providers: Numbers | None = None) -> bytes:
    """A record of ticks of numbered symbols, at seconds from the start."""
    columns = {"symbol": named("S", symbols), "src_ts": pa.array((START + seconds) * 10**9, pa.timestamp("ns", "UTC"))}
    more = {} if providers is None else {"provider": named("P", providers)}
    return compressed(ticks(len(symbols), **columns, **more))


def named(prefix: str, numbers: Numbers) -> pa.Array:
    return pl.select(prefix + pl.Series(numbers).cast(pl.String)).to_series().to_arrow().cast(pa.string())


def rows(of: int) -> Iterator[Numbers]:
    """The numbers of so many rows, in as many records as they take."""
    for start in range(0, of, RECORD_ROWS):
        yield np.arange(start, min(start + RECORD_ROWS, of))


def at_once() -> Iterator[bytes]:
    return (record(row, 0 * row) for row in rows(SYMBOLS))


def within_a_span() -> Iterator[bytes]:
    return (record(row, row * 300 // SYMBOLS) for row in rows(SYMBOLS))


def come_and_gone() -> Iterator[bytes]:
    """In groups of 20,000 that are an hour apart, so that a record has more than may be there at any time."""
    return (record(row, row // 20_000 * 3_600) for row in rows(SYMBOLS))


def bars_without_a_gap() -> Iterator[bytes]:
    """As many symbols as there may be, and a bar of each in every window of the longest horizon, and more."""
    return (record(row % 25_000, row // 25_000 * 2) for row in rows(250 * 25_000))


def many_providers() -> Iterator[bytes]:
    return (record(row, 0 * row, row) for row in rows(PROVIDERS))


def symbols_of_many_providers() -> Iterator[bytes]:
    """Each provider has so many that they are a tenth of all that there may be, one after the other."""
    return (record(row, row % 2_500 // 2_499 * 3_600, row // 2_500) for row in rows(SYMBOLS))


TOPICS = (at_once, within_a_span, come_and_gone, bars_without_a_gap, many_providers, symbols_of_many_providers)
