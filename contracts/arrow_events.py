"""Arrow IPC streams of events: one record of the topic that carries many."""

from __future__ import annotations

import io
from typing import Final

import polars as pl
import pyarrow as pa

from contracts.event import PARSED
from contracts.timestamps import parse_timestamps

_CONTINUATION: Final = b"\xff\xff\xff\xff"  # every message of an IPC stream starts with it


def is_stream(payload: bytes | None) -> bool:
    """Whether the bytes claim to be an Arrow IPC stream."""
    return payload is not None and payload.startswith(_CONTINUATION)


def read(payload: bytes) -> pl.DataFrame:
    """The events of a stream, all PARSED columns but record, offset and record_ts; `row` counts from 0.

    Raises:
        ValueError, pyarrow.ArrowException: the bytes are no valid stream, or a column has a type that it must not have.
    """
    table = _table(payload)
    columns: dict[str, pl.Series] = {}
    for name in PARSED:
        if name in table.column_names and name != "src_ts":
            columns[name] = _column(table, name)
    columns |= _times(table)
    frame = pl.DataFrame(columns) if columns else pl.DataFrame({"kind": [None] * table.num_rows})
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in PARSED.items() if name not in frame.columns]
    return frame.with_columns(missing).with_columns(row=pl.int_range(pl.len(), dtype=pl.Int64))


def _table(payload: bytes) -> pa.Table:
    with pa.ipc.open_stream(io.BytesIO(payload)) as reader:
        table = reader.read_all()
    table.validate(full=True)  # lengths, offsets and UTF-8: what follows trusts them
    if len(set(table.column_names)) != len(table.column_names):
        raise ValueError("the Arrow schema names a column twice")
    return table


def _column(table: pa.Table, name: str) -> pl.Series:
    field = table.schema.field(name)
    text, target = PARSED[name] == pl.String, PARSED[name]
    if pa.types.is_null(field.type):
        return pl.Series(name, [None] * table.num_rows, target)
    if text != _is_text(field.type) or not (text or _is_number(field.type, target)):
        raise ValueError(f"column {name} is {field.type}, not {target}")
    return pl.Series(name, pl.from_arrow(table.column(name))).cast(target)


def _is_text(kind: pa.DataType) -> bool:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain) or pa.types.is_string_view(plain))


def _is_number(kind: pa.DataType, target: pl.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or (target == pl.Float64 and pa.types.is_floating(kind)))


def _times(table: pa.Table) -> dict[str, pl.Series]:
    """`src_ts` from an aware timestamp or from ISO text. A naive timestamp is nobody's time: it stays null."""
    if "src_ts" not in table.column_names:
        return {}
    kind = table.schema.field("src_ts").type
    if _is_text(kind):
        texts = pl.Series("src_text", pl.from_arrow(table.column("src_ts"))).cast(pl.String)
        return {"src_text": texts, "src_ts": parse_timestamps(texts).alias("src_ts")}
    if not pa.types.is_timestamp(kind):
        raise ValueError(f"column src_ts is {kind}, neither text nor a timestamp")
    if kind.tz is None:
        raise ValueError("column src_ts is a timestamp without a time zone")
    nanoseconds = table.column("src_ts").cast(pa.timestamp("ns", "UTC")).cast(pa.int64())
    return {"src_ts": pl.Series("src_ts", pl.from_arrow(nanoseconds))}


def slice_row(payload: bytes | None, row: int) -> bytes:
    """The stream with nothing but its row number `row`."""
    table = _table(payload or b"").slice(row, 1)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()
