"""Extracts rows of an Arrow stream as streams of their own.

Rows are extracted by slicing, which works on the layout and supports every type; selection kernels support only some,
and not those of views, for instance.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from codec.arrow_events import opened
from native.arrow_layout import schema_of


def rows_alone(payload: bytes, rows: Sequence[int], most_bytes: int) -> list[bytes] | None:
    """Returns for each of `rows` a stream with only that row; None if these would be too large together.

    Raises:
        ValueError, pyarrow.ArrowException: the bytes are not a valid stream, or a row cannot be written alone.
    """
    if len(schema_of(payload)) * len(rows) > most_bytes:  # each stream repeats the schema
        return None
    table = opened(payload).table
    streams: list[bytes] = []
    for row in rows:
        streams.append(_row_alone(table.slice(row, 1)))
        most_bytes -= len(streams[-1])
        if most_bytes < 0:
            return None
    return streams


def take_rows(payload: bytes, rows: Sequence[int] | npt.NDArray[np.int64]) -> bytes:
    """Returns the stream with only these rows, in ascending order, unchanged.

    Raises:
        ValueError, pyarrow.ArrowException: the bytes are not a valid stream.
    """
    table = opened(payload).table
    runs = np.split(np.asarray(rows), np.flatnonzero(np.diff(rows) > 1) + 1)
    return _written(pa.concat_tables([table.slice(run[0], len(run)) for run in runs]))


def _row_alone(table: pa.Table) -> bytes:
    """A one-row table without data of other rows: dictionary values, and bytes shared by views."""
    (batch,) = table.to_batches()
    columns = [_value_alone(column) for column in batch.columns]
    # A column may be declared non-null and still contain nulls, so that declaration is dropped.
    return _written(pa.table(columns, names=batch.schema.names))


def _value_alone(column: pa.Array) -> pa.Array:
    if isinstance(column, pa.DictionaryArray):
        index = column.indices[0].as_py()
        column = pa.nulls(1, column.type.value_type) if index is None else column.dictionary.slice(index, 1)
    if pa.types.is_string_view(column.type) or pa.types.is_binary_view(column.type):
        return pa.array([column[0].as_py()], column.type)
    return column


def _written(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()
