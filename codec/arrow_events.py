"""Arrow IPC streams of events: one record of the topic with many events.

An error of the schema concerns all rows, so the record is refused; an error of a value refuses only its row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from codec.arrow_size import check_size, is_referring, is_text, stated_size, text_bytes, types_in, view_bytes
from contracts.budgets import RECORD_BYTES
from contracts.event import BAR, OF_BARS, PARSED, PLACE, VERSION
from contracts.record import Buffer, is_arrow

_IN_PLACE: Final = pa.ipc.IpcReadOptions(use_threads=False)
_ALIGNED: Final = pa.ipc.IpcReadOptions(ensure_alignment=pa.ipc.Alignment.DataTypeSpecific, use_threads=False)
_TYPES: Final = {pl.String(): pa.large_string(), pl.Int64(): pa.int64(), pl.Float64(): pa.float64()}
_ROW: Final = {name: dtype for name, dtype in PARSED.items() if name not in PLACE}
_PLAIN: Final = {name: _TYPES[dtype] for name, dtype in _ROW.items() if name not in ("src_text", "src_ts", "flaw")}
_Types = Mapping[str, pa.DataType]  # by the column's name
_TEXTS: Final = [name for name, kind in _PLAIN.items() if kind == pa.large_string()] + ["src_ts"]
_NANOSECONDS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


class Opened(NamedTuple):
    """A validated stream, and its size in bytes with dictionaries decoded."""

    table: pa.Table
    nbytes: int


def read(payload: bytes) -> pa.Table:
    """Returns the events of a stream, with those of PARSED's columns that it has, except the PLACE columns.

    Raises:
        ValueError, pyarrow.ArrowException: the bytes are not a valid stream, or a column has a wrong type.
    """
    return columns(opened(payload).table)


def opened(payload: Buffer) -> Opened:
    """Opens a stream unchanged. Each step allocates no more than the previous one has found to be within bounds.

    Raises:
        ValueError, pyarrow.ArrowException: the bytes are not a valid stream, or become too large.
    """
    if not is_arrow(payload):
        raise ValueError("the bytes are not an Arrow IPC stream")
    data = pa.py_buffer(bytes(payload))  # copied to an aligned address, which a payload in a fetch may not have
    rows, nbytes, is_aligned = stated_size(data)
    check_size(rows, nbytes)
    table = _unpacked(data, is_aligned)
    names = table.schema.names
    if len(set(names)) != len(names):
        raise ValueError("the Arrow schema names a column twice")
    table.validate()  # lengths of buffers
    referring = {name: column for name, column in zip(names, table.columns, strict=True) if is_referring(column.type)}
    nbytes += view_bytes(referring.values())
    check_size(rows, nbytes)
    table.validate(
        full=True
    )  # offsets, indices and UTF-8, which takes time by bytes of strings: later code relies on it
    nbytes += text_bytes([referring[name] for name in _TEXTS if name in referring], RECORD_BYTES - nbytes)
    check_size(rows, nbytes)
    return Opened(table, nbytes)


def _unpacked(data: pa.Buffer, is_aligned: bool) -> pa.Table:
    """Decodes the stream with aligned buffers, as readers of columns require; a hostile stream may not align them."""
    with pa.ipc.open_stream(data, options=_IN_PLACE if is_aligned else _ALIGNED) as reader:
        if not is_aligned and any(_is_coded_twice(field.type) for field in reader.schema):
            # PyArrow would align a dictionary before its nested ones are loaded, and crash.
            raise ValueError("buffers of the Arrow stream are not aligned, and a dictionary contains another one")
        return reader.read_all()


def _is_coded_twice(kind: pa.DataType) -> bool:
    """Whether a dictionary in the type has values that are dictionary-encoded themselves."""
    coded = (each.value_type for each in types_in(kind) if pa.types.is_dictionary(each))
    return any(pa.types.is_dictionary(each) for values in coded for each in types_in(values))


def columns(table: pa.Table) -> pa.Table:
    """Returns the same as `read`, for an opened table, or for several concatenated ones.

    `kind` is always present, as a table without columns has no rows.

    Raises:
        ValueError, pyarrow.ArrowException: a column has a wrong type.
    """
    kind = {"kind": pa.nulls(table.num_rows, pa.large_string())}
    types = dict(zip(table.schema.names, table.schema.types, strict=True))
    present = [name for name in _PLAIN if name in types and not pa.types.is_null(types[name])]
    plain = {name: _column(table, name, types[name]) for name in present}
    return pa.table(kind | plain | _times(table, types) | _flaws(table, types))


def frame(rows: pa.Table) -> pl.DataFrame:
    """The result of `read` with all columns; o, h, l and interval for bars only."""
    present = pl.DataFrame(pl.from_arrow(rows))
    is_bar = pl.col("kind") == BAR
    whole = {name: pl.col(name) if name in present.columns else pl.lit(None, dtype) for name, dtype in _ROW.items()}
    return present.select(**whole | {name: pl.when(is_bar).then(whole[name]) for name in OF_BARS})


def _column(table: pa.Table, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    """A column cast to `kind`; integers are accepted as floats. Too large ones overflow, and are found by `_flaws`."""
    target = _PLAIN[name]
    if kind == target:
        return table.column(name)
    if not (_is_text(kind) if _is_text(target) else _is_number(kind, target)):
        raise ValueError(f"column {name} is {kind}, not {target}")
    return _texts(table.column(name)) if _is_text(target) else table.column(name).cast(target, safe=False)


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Strings without dictionary encoding; a cast does not support dictionaries of views."""
    if not (pa.types.is_dictionary(column.type) and pa.types.is_string_view(column.type.value_type)):
        return column.cast(pa.large_string())
    chunks = [chunk.dictionary.cast(pa.large_string()).take(chunk.indices) for chunk in column.chunks]
    return pa.chunked_array(chunks, pa.large_string())


def _is_text(kind: pa.DataType) -> bool:
    return is_text(kind.value_type if pa.types.is_dictionary(kind) else kind)


def _is_number(kind: pa.DataType, target: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or (pa.types.is_floating(target) and pa.types.is_floating(kind)))


def _times(table: pa.Table, types: _Types) -> dict[str, pa.ChunkedArray]:
    """`src_ts` from an aware timestamp, or `src_text` from ISO text. A naive timestamp is refused."""
    if "src_ts" not in types:
        return {}
    kind = types["src_ts"]
    if _is_text(kind):
        return {"src_text": _texts(table.column("src_ts"))}
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
    """`flaw`: an error of a row that its converted columns no longer show; null without one."""
    is_long = types.get("seq") == pa.uint64()
    has_version = "ver" in types and not pa.types.is_null(types["ver"])
    if not (is_long or has_version):
        return {}
    flaws = pa.nulls(table.num_rows, pa.large_string())
    if is_long:
        is_too_large = pc.greater(table.column("seq"), pa.scalar(2**63 - 1, pa.uint64()))
        flaws = pc.if_else(is_too_large, "seq is beyond 64 bits with a sign", flaws)
    if has_version:
        if not _is_number(types["ver"], pa.float64()):
            raise ValueError(f"column ver is {types['ver']}, not a number")
        versions = table.column("ver").cast(pa.float64(), safe=False)
        is_other = pc.fill_null(pc.not_equal(versions, float(VERSION)), False)
        flaws = pc.if_else(is_other, f"ver is not {VERSION}", flaws)
    return {"flaw": flaws}
