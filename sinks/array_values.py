"""Columns of lists as arrays of PostgreSQL in their binary form, for COPY.

An array is its number of dimensions, whether it has nulls, and the type of its elements; for each dimension its length
and where it begins to count; then each element's length in bytes, and its bytes. One without elements has no dimension.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

_Between = Callable[[int, int], bytes]  # the elements from one to another, as they are in an array

_SIZE: Final = struct.Struct(">i")
_HEADER: Final = struct.Struct(">iii")
_DIMENSION: Final = struct.Struct(">ii")
_NULL: Final = _SIZE.pack(-1)

# By the type of the elements: its id, the same in every server, and their form; None: texts.
_ELEMENTS: Final[dict[str, tuple[int, str | None]]] = {
    "boolean": (16, ">u1"),
    "bigint": (20, ">i8"),
    "integer": (23, ">i4"),
    "text": (25, None),
    "double precision": (701, ">f8"),
}


def array_values(column: pl.Series, kind: str) -> pl.Series:
    """A column of lists, or of lists of arrays of one length, as Binary; `kind` is their type in the database."""
    oid, form = _ELEMENTS[kind.removesuffix("[]")]
    lists = column.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    inner, ends, elements = column.dtype.inner, lists.offsets.to_pylist(), lists.values  # type: ignore[attr-defined]
    width = inner.size if isinstance(inner, pl.Array) else None
    if width is not None:
        elements = elements.values
    between = _texts(elements, form) if form is None or elements.null_count else _numbers(elements, form)
    has_nulls = int(elements.null_count > 0)
    arrays = [
        None if is_null else _array(between, first, end, width, (has_nulls, oid))
        for first, end, is_null in zip(ends, ends[1:], column.is_null(), strict=False)
    ]
    return pl.Series(column.name, arrays, pl.Binary)


def _array(between: _Between, first: int, end: int, width: int | None, rest: tuple[int, int]) -> bytes:
    if first == end:
        return _HEADER.pack(0, *rest)
    lengths = [end - first] if width is None else [end - first, width]
    times = width or 1
    dimensions = b"".join(_DIMENSION.pack(length, 1) for length in lengths)
    return _HEADER.pack(len(lengths), *rest) + dimensions + between(first * times, end * times)


def _numbers(elements: pa.Array, form: str) -> _Between:
    cells = np.empty(len(elements), [("size", ">i4"), ("value", form)])
    cells["size"] = cells.dtype["value"].itemsize
    cells["value"] = elements.to_numpy(zero_copy_only=False)
    data, step = cells.tobytes(), cells.dtype.itemsize
    return lambda first, end: data[first * step : end * step]


def _texts(elements: pa.Array, form: str | None) -> _Between:
    """Also numbers some of which are null."""
    encode: Callable[[Any], bytes] = str.encode if form is None else lambda value: np.array(value, form).tobytes()
    cells = [_NULL if value is None else _cell(encode(value)) for value in elements.to_pylist()]
    return lambda first, end: b"".join(cells[first:end])


def _cell(data: bytes) -> bytes:
    return _SIZE.pack(len(data)) + data
