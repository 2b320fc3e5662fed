"""Decodes records of the bars topic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from codec.refused import UNDECODABLE, one_line, refused_record
from codec.timestamps import parse_timestamps
from contracts import frames
from contracts.bar import Bar
from contracts.batch import BARS, NO_BARS, MicroBatch, Outcomes
from contracts.columns import time_fields
from contracts.duration import format_duration
from contracts.event_rules import CONTRACT
from contracts.frames import REFUSED
from contracts.record import TOMBSTONE, Fetch, Records

_decoder: Final = msgspec.json.Decoder(Bar)
_TIMES: Final = time_fields(Bar)
_CARRIED: Final = [name for name in Bar.__struct_fields__ if name in frames.BARS]


@dataclass(frozen=True, slots=True)
class BarDecoder:
    """Turns records of the bars topic into micro-batches.

    Attributes:
        window_ns: length of a window; bars of other windows are rejected.
    """

    window_ns: int

    def decode_all(self, fetches: Iterable[Fetch]) -> MicroBatch:
        """The bars of at least one fetch, each caused by its own record; rejects all but bars of this window."""
        parts = list(fetches)
        bars, rejects = self._read(reduce(add, [part.records for part in parts]))
        return MicroBatch(
            topic=parts[-1].topic,
            partition=parts[-1].partition,
            next_offset=parts[-1].next_offset,
            read_at=parts[-1].read_at,
            results={BARS: bars},
            rejects=rejects,
            outcomes=Outcomes(accepted=bars.height, rejected=rejects.height),
            ingested=Counter(bars["provider"]),
        )

    def _read(self, records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
        bars: dict[int, Bar] = {}
        broken: list[tuple[object, ...]] = []
        for index, value in enumerate(records.values):
            try:
                bars[index] = _bar(value)
            except Exception as error:
                broken.append(refused_record(records, index, UNDECODABLE, one_line(error)))
        if not bars:
            return NO_BARS, pl.DataFrame(broken, schema=REFUSED, orient="row")
        frame = _frame(list(bars.values()), records.offsets[list(bars)])
        fits = frame.select(self._fits()).to_series()
        misfit = f"not a bar of a window of {format_duration(self.window_ns)}"
        broken += [
            refused_record(records, index, CONTRACT, misfit) for index, fit in zip(bars, fits, strict=True) if not fit
        ]
        return frame.filter(fits), pl.DataFrame(broken, schema=REFUSED, orient="row").sort("offset")

    def _fits(self) -> pl.Expr:
        start, end = pl.col("window_start"), pl.col("window_end")
        aligned = (end - start == self.window_ns) & (start % self.window_ns == 0)
        return (aligned & (pl.col("interval") == format_duration(self.window_ns))).fill_null(value=False)


def _bar(value: bytes | None) -> Bar:
    if value is None:
        raise ValueError(TOMBSTONE)
    return _decoder.decode(value)


def _frame(bars: list[Bar], offsets: npt.NDArray[np.int64]) -> pl.DataFrame:
    columns = {name: [getattr(bar, name) for bar in bars] for name in _CARRIED}
    times = {name: parse_timestamps(pl.Series(name, columns[name], pl.String)) for name in _TIMES}
    places = {"offset": offsets, "row": np.zeros(len(offsets), np.int64)}
    return pl.DataFrame({**columns, **times, **places}, schema=frames.BARS)


def without_bars(batch: MicroBatch) -> MicroBatch:
    """The batch without its bars, which the writer of the topic has written to the database."""
    return batch.having(BARS, NO_BARS)
