"""Columns that decoding adds to the rows of events before they are validated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from codec.timestamps import parse_timestamps
from contracts.duration import parse_duration
from contracts.event import PLACE
from contracts.record import Records

_Ints = npt.NDArray[np.int64]


def places(records: Records, indices: Sequence[int], counts: Sequence[int]) -> dict[str, _Ints]:
    """The PLACE columns of the records with these indices in the fetch and these counts of rows."""
    chosen, ends = np.asarray(indices), np.cumsum(counts)
    columns = (chosen, records.offsets[chosen], ends - counts, records.times()[chosen])
    repeated = {name: np.repeat(column, counts) for name, column in zip(PLACE, columns, strict=True)}
    return repeated | {"row": np.arange(ends[-1]) - repeated["row"]}


def with_times(rows: pl.DataFrame) -> pl.DataFrame:
    """Fills `src_ts` from `src_text`."""
    texts = rows["src_text"]
    if texts.null_count() == rows.height:
        return rows
    return rows.with_columns(src_ts=pl.coalesce("src_ts", parse_timestamps(texts)))


def with_interval_lengths(rows: pl.DataFrame) -> pl.DataFrame:
    """Adds `interval_ns`: the length that each bar states, null without one. Ticks may have any interval."""
    is_bar = rows["kind"].eq_missing(pl.Series(["bar"]))
    if not is_bar.any():
        return rows.with_columns(interval_ns=pl.lit(None, pl.Int64))
    texts = rows.filter(is_bar)["interval"].unique()
    lengths = pl.DataFrame(
        {"interval": texts, "interval_ns": [_length(text) for text in texts]},
        schema_overrides={"interval_ns": pl.Int64},
    )
    return rows.join(lengths, on="interval", how="left", maintain_order="left")


def _length(interval: str | None) -> int | None:
    """Nanoseconds; None if it is not a duration, or beyond int64, which is longer than any window."""
    try:
        length = parse_duration(interval or "")
    except ValueError:
        return None
    return length if length < 2**63 else None
