"""Arrow IPC streams of events: one record of the topic that carries many.

What the schema gets wrong, it gets wrong for all rows, and costs the record; what a value gets wrong costs its row.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from contracts.event import BAR, PARSED, PLACE, VERSION
from contracts.record import Buffer, is_arrow

MAX_ROWS: Final = 1_000_000  # of a record: columns of nothing but nulls are short, however many rows they claim

# What reads the columns later takes their alignment for granted; a hostile stream may place them anywhere.
_ALIGNED: Final = pa.ipc.IpcReadOptions(ensure_alignment=pa.ipc.Alignment.DataTypeSpecific, use_threads=False)
_TYPES: Final = {pl.String(): pa.large_string(), pl.Int64(): pa.int64(), pl.Float64(): pa.float64()}
_ROW: Final = {name: dtype for name, dtype in PARSED.items() if name not in PLACE}
_PLAIN: Final = {name: _TYPES[dtype] for name, dtype in _ROW.items() if name not in ("src_text", "src_ts", "flaw")}
_Types = Mapping[str, pa.DataType]  # by the column's name
_NANOSECONDS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


def read(payload: bytes) -> pa.Table:
    """The events of a stream: of the columns of PARSED that do not say where a row came from those that it has.

    Raises:
        ValueError, pyarrow.ArrowException: the bytes are no valid stream, or a column has a type that it must not have.
    """
    return columns(opened(payload))


def opened(payload: Buffer) -> pa.Table:
    """A stream as it is, valid throughout.

    Raises:
        ValueError, pyarrow.ArrowException: the bytes are no valid stream.
    """
    if not is_arrow(payload):
        raise ValueError("the bytes are no Arrow IPC stream")
    with pa.ipc.open_stream(pa.py_buffer(payload), options=_ALIGNED) as reader:
        table = reader.read_all()
    table.validate(full=True)  # lengths, offsets and UTF-8: what follows trusts them
    if table.num_rows > MAX_ROWS:
        raise ValueError(f"the Arrow stream has {table.num_rows} rows, more than {MAX_ROWS}")
    names = table.schema.names
    if len(set(names)) != len(names):
        raise ValueError("the Arrow schema names a column twice")
    return table


def columns(table: pa.Table) -> pa.Table:
    """What `read` gives, of a table that was opened, or of several in one.

    `kind` is always there: a table has no rows without a column.

    Raises:
        ValueError, pyarrow.ArrowException: a column has a type that it must not have.
    """
    kind = {"kind": pa.nulls(table.num_rows, pa.large_string())}
    types = dict(zip(table.schema.names, table.schema.types, strict=True))
    present = [name for name in _PLAIN if name in types and not pa.types.is_null(types[name])]
    plain = {name: _column(table, name, types[name]) for name in present}
    return pa.table(kind | plain | _times(table, types) | _flaws(table, types))


def frame(rows: pa.Table) -> pl.DataFrame:
    """What `read` gave, with all columns; o, h, l and interval only of bars."""
    present = pl.DataFrame(pl.from_arrow(rows))
    is_bar = pl.col("kind") == BAR
    whole = {name: pl.col(name) if name in present.columns else pl.lit(None, dtype) for name, dtype in _ROW.items()}
    return present.select(**whole | {name: pl.when(is_bar).then(whole[name]) for name in (*"ohl", "interval")})


def slice_rows(payload: bytes, rows: Sequence[int]) -> list[bytes]:
    """For each of `rows` the stream with nothing but that row: no dictionary of all the others' values either."""
    table = opened(payload)
    # A column may call itself free of nulls and hold some: nothing but a later cast would mind.
    plain = [
        pa.field(field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type)
        for field in table.schema
    ]
    table = table.cast(pa.schema(plain))
    return [_written(table.slice(row, 1)) for row in rows]


def take_rows(payload: bytes, rows: Sequence[int]) -> bytes:
    """The stream with these of its rows, as they are."""
    return _written(opened(payload).take(rows))


def _written(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _column(table: pa.Table, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    """Integers count as floats too. Those too large for their column come out wrong: `_flaws` has them."""
    target = _PLAIN[name]
    if kind == target:
        return table.column(name)
    if not (_is_text(kind) if _is_text(target) else _is_number(kind, target)):
        raise ValueError(f"column {name} is {kind}, not {target}")
    return table.column(name).cast(target, safe=False)


def _is_text(kind: pa.DataType) -> bool:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain) or pa.types.is_string_view(plain))


def _is_number(kind: pa.DataType, target: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or (pa.types.is_floating(target) and pa.types.is_floating(kind)))


def _times(table: pa.Table, types: _Types) -> dict[str, pa.ChunkedArray]:
    """`src_ts` from an aware timestamp, or `src_text` from ISO text. A naive timestamp is nobody's time."""
    if "src_ts" not in types:
        return {}
    kind = types["src_ts"]
    if _is_text(kind):
        return {"src_text": table.column("src_ts").cast(pa.large_string())}
    if not pa.types.is_timestamp(kind):
        raise ValueError(f"column src_ts is {kind}, neither text nor a timestamp")
    if kind.tz is None:
        raise ValueError("column src_ts is a timestamp without a time zone")
    units, factor = table.column("src_ts").cast(pa.int64()), _NANOSECONDS[kind.unit]
    if factor == 1:
        return {"src_ts": units}
    limit = (2**63 - 1) // factor
    fits = pc.and_(pc.less_equal(units, limit), pc.greater_equal(units, -limit))
    return {
        "src_ts": pc.multiply(pc.if_else(fits, units, None), factor),
        "src_text": pc.if_else(fits, None, units.cast(pa.large_string())),
    }


def _flaws(table: pa.Table, types: _Types) -> dict[str, pa.ChunkedArray]:
    """`flaw`: what is wrong with a row and cannot be seen in its columns any more; null where nothing is."""
    is_long = types.get("seq") == pa.uint64()
    has_version = "ver" in types and not pa.types.is_null(types["ver"])
    if not (is_long or has_version):
        return {}
    flaws = pa.nulls(table.num_rows, pa.large_string())
    if is_long:
        is_too_large = pc.greater(table.column("seq"), pa.scalar(2**63 - 1, pa.uint64()))
        flaws = pc.if_else(is_too_large, "seq is beyond 64 bits with a sign", flaws)
    if has_version:
        is_other = pc.fill_null(pc.not_equal(table.column("ver"), pa.scalar(VERSION, types["ver"])), False)
        flaws = pc.if_else(is_other, f"ver is not {VERSION}", flaws)
    return {"flaw": flaws}
