"""Arrow IPC streams of events: one record of the topic that carries many.

What the schema gets wrong, it gets wrong for all rows, and costs the record; what a value gets wrong costs its row.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from contracts.event import BAR, PARSED, PLACE, VERSION
from contracts.record import is_arrow

MAX_ROWS: Final = 1_000_000  # of a record: columns of nothing but nulls are short, however many rows they claim

_TYPES: Final = {pl.String(): pa.large_string(), pl.Int64(): pa.int64(), pl.Float64(): pa.float64()}
_LAYOUT: Final = pa.schema([(name, _TYPES[dtype]) for name, dtype in PARSED.items() if name not in PLACE])
_PLAIN: Final = [name for name in _LAYOUT.names if name not in ("src_text", "src_ts", "flaw")]
_NANOSECONDS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


def read(payload: bytes) -> pa.Table:
    """The events of a stream: the columns of PARSED that do not say where a row came from.

    Raises:
        ValueError, pyarrow.ArrowException: the bytes are no valid stream, or a column has a type that it must not have.
    """
    table = _table(payload)
    columns = {name: _column(table, name) for name in _PLAIN}
    return pa.table({**columns, **_times(table), "flaw": _flaws(table)}, schema=_LAYOUT)


def frame(tables: Sequence[pa.Table]) -> pl.DataFrame:
    """The rows of all tables that `read` gave, one after the other; o, h, l and interval only of bars."""
    rows = pl.DataFrame(pl.from_arrow(pa.concat_tables(tables)))
    return rows.with_columns(pl.when(pl.col("kind") == BAR).then(name).alias(name) for name in (*"ohl", "interval"))


def slice_rows(payload: bytes, rows: Sequence[int]) -> list[bytes]:
    """For each of `rows` the stream with nothing but that row: no dictionary of all the others' values either."""
    table = _table(payload)
    # A column may call itself free of nulls and hold some: nothing but a later cast would mind.
    plain = [
        pa.field(field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type)
        for field in table.schema
    ]
    table = table.cast(pa.schema(plain))
    return [_written(table.slice(row, 1)) for row in rows]


def take_rows(payload: bytes, rows: Sequence[int]) -> bytes:
    """The stream with these of its rows, as they are."""
    return _written(_table(payload).take(rows))


def _written(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _table(payload: bytes) -> pa.Table:
    if not is_arrow(payload):
        raise ValueError("the bytes are no Arrow IPC stream")
    with pa.ipc.open_stream(io.BytesIO(payload)) as reader:
        table = reader.read_all()
    table.validate(full=True)  # lengths, offsets and UTF-8: what follows trusts them
    if table.num_rows > MAX_ROWS:
        raise ValueError(f"the Arrow stream has {table.num_rows} rows, more than {MAX_ROWS}")
    if len(set(table.column_names)) != len(table.column_names):
        raise ValueError("the Arrow schema names a column twice")
    return table


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Integers count as floats too. Those too large for their column come out wrong: `_flaws` has them."""
    target = _LAYOUT.field(name).type
    if name not in table.column_names or pa.types.is_null(table.schema.field(name).type):
        return pa.nulls(table.num_rows, target)
    kind = table.schema.field(name).type
    if not (_is_text(kind) if _is_text(target) else _is_number(kind, target)):
        raise ValueError(f"column {name} is {kind}, not {target}")
    return table.column(name).cast(target, safe=False)


def _is_text(kind: pa.DataType) -> bool:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain) or pa.types.is_string_view(plain))


def _is_number(kind: pa.DataType, target: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or (pa.types.is_floating(target) and pa.types.is_floating(kind)))


def _times(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    """`src_ts` from an aware timestamp, or `src_text` from ISO text. A naive timestamp is nobody's time."""
    nothing = {"src_ts": pa.nulls(table.num_rows, pa.int64()), "src_text": pa.nulls(table.num_rows, pa.large_string())}
    if "src_ts" not in table.column_names:
        return nothing
    kind = table.schema.field("src_ts").type
    if _is_text(kind):
        return nothing | {"src_text": table.column("src_ts").cast(pa.large_string())}
    if not pa.types.is_timestamp(kind):
        raise ValueError(f"column src_ts is {kind}, neither text nor a timestamp")
    if kind.tz is None:
        raise ValueError("column src_ts is a timestamp without a time zone")
    units, factor = table.column("src_ts").cast(pa.int64()), _NANOSECONDS[kind.unit]
    if factor == 1:
        return nothing | {"src_ts": units}
    limit = (2**63 - 1) // factor
    fits = pc.and_(pc.less_equal(units, limit), pc.greater_equal(units, -limit))
    return {
        "src_ts": pc.multiply(pc.if_else(fits, units, None), factor),
        "src_text": pc.if_else(fits, None, units.cast(pa.large_string())),
    }


def _flaws(table: pa.Table) -> pa.ChunkedArray:
    """What is wrong with a row and cannot be seen in its columns any more; null where nothing is."""
    flaws = pa.nulls(table.num_rows, pa.large_string())
    kinds = dict(zip(table.schema.names, table.schema.types, strict=True))
    if kinds.get("seq") == pa.uint64():
        is_too_large = pc.greater(table.column("seq"), pa.scalar(2**63 - 1, pa.uint64()))
        flaws = pc.if_else(is_too_large, "seq is beyond 64 bits with a sign", flaws)
    if "ver" in kinds and not pa.types.is_null(kinds["ver"]):
        is_other = pc.not_equal(table.column("ver"), pa.scalar(VERSION, kinds["ver"]))
        flaws = pc.if_else(is_other, f"ver is not {VERSION}", flaws)
    return flaws
