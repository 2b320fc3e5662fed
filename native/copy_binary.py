"""Frames in the binary format of PostgreSQL's COPY, so that neither side formats or parses a number.

The format is a signature; for each row its count of fields, and each field's length in bytes followed by its bytes; at
the end a row of -1 fields. Numbers are big-endian, a null has length -1. See "COPY" in the manual of PostgreSQL.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from native.jit import compiled
from native.memory import byte, copy, eight_bytes, four_bytes, put

_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, no header extension
_END: Final = b"\xff\xff"
_NULL: Final = -1
_EPOCH_US: Final = round(datetime(2000, 1, 1, tzinfo=UTC).timestamp() * 1e6)  # PostgreSQL counts from 2000
_TEXT: Final = 0  # as a size: of variable length
_SIZES: Final = {pl.String: _TEXT, pl.Binary: _TEXT, pl.Int32: 4, pl.Int64: 8, pl.Float64: 8, pl.Datetime: 8}
_COLUMN: Final = np.dtype([(name, np.int64) for name in ("size", "values", "ends", "valid", "first", "zero")])


def copy_binary(frame: pl.DataFrame) -> memoryview:
    """The rows of `frame`, encoded.

    Int32, Int64, Float64 and String become integer, bigint, double precision and text; a Datetime in microseconds and
    UTC becomes a timestamptz; Binary is sent as it is, a value of any type in its binary form.
    """
    arrays = [column.to_arrow(compat_level=pl.CompatLevel.oldest()) for column in frame]
    columns = np.array([_column(array, dtype) for array, dtype in zip(arrays, frame.dtypes, strict=True)], _COLUMN)
    stream = np.empty(len(_SIGNATURE) + _most(columns, frame.height) + len(_END), np.uint8)
    stream[: len(_SIGNATURE)] = np.frombuffer(_SIGNATURE, np.uint8)
    end = len(_SIGNATURE) + _write(columns, frame.height, stream.ctypes.data + len(_SIGNATURE))
    stream[end : end + len(_END)] = np.frombuffer(_END, np.uint8)
    return stream[: end + len(_END)].data


def _column(array: pa.Array, dtype: pl.DataType) -> tuple[int, ...]:
    """Addresses of its values, of the ends of its strings, and of its validity bitmap, where it has them."""
    valid, *ends, values = (buffer.address if buffer else 0 for buffer in array.buffers())
    zero = _EPOCH_US if dtype == pl.Datetime else 0
    return _SIZES[dtype.base_type()], values, *(ends or (0,)), valid, array.offset, zero


@compiled
def _most(columns: npt.NDArray[Any], rows: int) -> int:
    """The bytes that the rows take if nothing is null."""
    most = 2 * rows
    for column in columns:
        most += (4 + column.size) * rows
        if column.size == _TEXT and rows:  # without rows there may be no ends
            most += eight_bytes(column.ends + 8 * (column.first + rows)) - eight_bytes(column.ends + 8 * column.first)
    return int(most)


@compiled
def _write(columns: npt.NDArray[Any], rows: int, start: int) -> int:
    """Write the rows from address `start` on; return how many bytes were written."""
    at = start
    for row in range(rows):
        put(at, len(columns), 2)
        at += 2
        for column in columns:
            at += _write_value(column, column.first + row, at)
    return at - start


@compiled
def _write_value(column: Any, row: int, at: int) -> int:
    if column.valid != 0 and not byte(column.valid + (row >> 3)) >> (row & 7) & 1:
        put(at, _NULL, 4)
        return 4
    if column.size == _TEXT:
        return _write_text(column, row, at)
    put(at, column.size, 4)
    if column.size == 4:
        put(at + 4, four_bytes(column.values + 4 * row), 4)
    else:
        put(at + 4, eight_bytes(column.values + 8 * row) - column.zero, 8)
    return int(4 + column.size)


@compiled
def _write_text(column: Any, row: int, at: int) -> int:
    start, end = eight_bytes(column.ends + 8 * row), eight_bytes(column.ends + 8 * row + 8)
    length = end - start
    put(at, length, 4)
    copy(column.values + start, at + 4, length)
    return int(4 + length)


_most(np.zeros(0, _COLUMN), 0)
_write(np.zeros(0, _COLUMN), 0, 0)  # loads the compiled code at import, rather than at the first flush
