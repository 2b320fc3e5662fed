"""What a scan has found as columns of frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from native.json_scan import Found
from native.memory import gather

_Ints = npt.NDArray[np.int64]


def read_long(found: Found, name: str) -> None:
    """Parses the numbers that have too many digits for the scan, and validates them."""
    rows, addresses, lengths = found.long_numbers(name)
    if not len(rows):
        return
    numbers = texts(name, addresses, lengths).cast(pl.Float64).to_numpy()
    least, most = found.scanner.bounds(name)
    found.numbers(name)[rows] = numbers
    found.is_plain[rows] = (numbers >= least) & (numbers <= most)


def texts(name: str, addresses: _Ints, lengths: _Ints) -> pl.Series:
    """The strings; null where the length is 0."""
    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    text = np.empty(ends[-1], np.uint8)
    gather(addresses, lengths, ends, text)
    arrow = pa.LargeStringArray.from_buffers(len(lengths), pa.py_buffer(ends), pa.py_buffer(text))
    return with_nulls(pl.Series(name, pl.from_arrow(arrow)), lengths > 0)


def with_nulls(column: pl.Series, is_there: npt.NDArray[np.bool_]) -> pl.Series:
    """Null in place of the values that are not there."""
    return column if is_there.all() else column.set(pl.Series(~is_there), None)
