"""Encodes events as values of Kafka records: Event v1 as JSON, as MessagePack, or many rows as an Arrow IPC stream."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import msgspec
import polars as pl

from contracts.event import TIMES, VERSION, WIRE
from contracts.record import ARROW, JSON, MSGPACK
from contracts.timestamps import format_timestamps

if TYPE_CHECKING:
    import pyarrow as pa

Encoding = Literal["json", "msgpack", "arrow"]

CONTENT_TYPES: Final[dict[Encoding, str]] = {"json": JSON, "msgpack": MSGPACK, "arrow": ARROW}

# A row of a WIRE frame; `ver` has no default, because it is always written.
_Row: Final = msgspec.defstruct(
    "_Row", [("ver", int), *((name, Any, None) for name in WIRE)], omit_defaults=True, gc=False
)


def encode(events: pl.DataFrame, encoding: Encoding, rows_per_record: int = 1000) -> list[bytes]:
    """Returns the values of records with `events`, whose columns are some of WIRE in any order, times in nanoseconds.

    JSON and MessagePack give one record per row, Arrow one for every `rows_per_record` rows. Nulls are left out, in
    JSON also non-finite numbers, which it cannot represent.

    Raises:
        ValueError: the encoding is unknown.
    """
    if encoding not in get_args(Encoding):
        raise ValueError(f"{encoding!r} is not an encoding: choose from {', '.join(get_args(Encoding))}")
    if events.is_empty():
        return []
    if encoding == "json":
        return encode_json(events).cast(pl.Binary).to_list()
    if encoding == "msgpack":
        return _msgpack(events)
    return _arrow(_present(events), rows_per_record)


def encode_json(events: pl.DataFrame) -> pl.Series:
    """Encode each row as a JSON text, floats in the shortest form that parses to the same bits."""
    wire = _with_time_texts(_present(events)).select(pl.lit(VERSION).alias("ver"), pl.all())
    texts = wire.select(json=pl.struct(pl.all()).struct.json_encode()).to_series()
    if texts.str.contains(":null", literal=True).any():
        # A quote inside a string is escaped, so a bare `,"` starts a key, and `ver` goes before every one of them.
        return texts.str.replace_all(r',"[a-z_]+":null', "")
    return texts


def _msgpack(events: pl.DataFrame) -> list[bytes]:
    rows = _with_time_texts(events)
    columns = (rows[name].to_list() if name in rows.columns else [None] * rows.height for name in WIRE)
    return list(map(msgspec.msgpack.Encoder().encode, map(_Row, [VERSION] * rows.height, *columns)))


def _arrow(events: pl.DataFrame, rows_per_record: int) -> list[bytes]:
    import pyarrow as pa  # noqa: PLC0415 - costs who writes no Arrow half a tenth of a second

    times = [pl.col(name).cast(pl.Datetime("ns", "UTC")) for name in TIMES if name in events.columns]
    table = events.with_columns(times).to_arrow(compat_level=pl.CompatLevel.oldest())
    # All readers of Arrow support plain strings, but not all support those of Polars, with offsets of 64 bits.
    fields = [field.with_type(pa.string()) if pa.types.is_large_string(field.type) else field for field in table.schema]
    table = table.combine_chunks().cast(pa.schema(fields))
    return [_stream(table.slice(start, rows_per_record)) for start in range(0, table.num_rows, rows_per_record)]


def _stream(rows: pa.Table) -> bytes:
    import pyarrow as pa  # noqa: PLC0415

    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, rows.schema) as writer:
        writer.write_table(rows)
    return stream.getvalue()


def _present(events: pl.DataFrame) -> pl.DataFrame:
    """The columns of WIRE that are not all null, in its order."""
    return events[[name for name in WIRE if name in events.columns and events[name].null_count() < events.height]]


def _with_time_texts(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(format_timestamps(events[name]) for name in TIMES if name in events.columns)
