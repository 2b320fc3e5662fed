"""ISO 8601 text to int64 nanoseconds, a column at a time, by the grammar of `contracts.timestamps`."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.binary import PADDING, BinaryColumn, starts_of
from native.iso_time import parse_times


def parse_texts(texts: Iterable[str | None]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Nanoseconds since the epoch of each text, and whether it is a time."""
    return parse_times(_column(list(texts)))


def parse_timestamps(texts: pl.Series) -> pl.Series:
    """Nanoseconds since the epoch of each text.

    Null if the text is null, naive, malformed, or outside of int64; its first and last second count as outside.
    """
    times, is_time = parse_texts(texts.to_list())
    return pl.Series(texts.name, times, pl.Int64).set(pl.Series(~is_time), None)


def _column(texts: list[str | None]) -> BinaryColumn:
    """The texts in one buffer; put together at once where all are there and of ASCII, as nearly always."""
    if None not in texts:
        joined = "\0".join(texts)  # type: ignore[arg-type]
        if joined.isascii():
            lengths = np.fromiter(map(len, texts), np.int64, len(texts))  # type: ignore[arg-type]
            data = np.frombuffer(f"{joined}\0".encode() + bytes(PADDING), np.uint8)
            return BinaryColumn(data, starts_of(lengths)[:-1], lengths)
    return BinaryColumn.of(None if text is None else text.encode() for text in texts)
