"""Columns of messages: of Polars frames, of Arrow streams, of tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import polars as pl

from contracts.fields import Field, fields_of

if TYPE_CHECKING:
    import pyarrow as pa

_POLARS: Final[dict[str, pl.DataType]] = {
    "text": pl.String(),
    "time": pl.Int64(),  # nanoseconds since the Unix epoch, UTC, as in all frames
    "number": pl.Float64(),
    "integer": pl.Int64(),
    "flag": pl.Boolean(),
    "object": pl.String(),  # JSON
}
_SQL: Final = {
    "text": "text",
    "time": "timestamptz",
    "number": "double precision",
    "integer": "bigint",
    "flag": "boolean",
    "object": "jsonb",
}
_SHORT: Final = 2**31


def polars_schema(struct: type[msgspec.Struct]) -> pl.Schema:
    """Columns of a frame of such messages, in the order of the declaration; times are int64 nanoseconds, UTC."""
    return pl.Schema({field.name: _polars_type(field) for field in fields_of(struct)})


def joined(*parts: Mapping[str, Any]) -> pl.Schema:
    """The columns of all parts, in their order."""
    return pl.Schema({name: dtype for part in parts for name, dtype in part.items()})


def time_fields(struct: type[msgspec.Struct]) -> tuple[str, ...]:
    """The fields that are times: texts in a message, nanoseconds in a frame."""
    return tuple(field.name for field in fields_of(struct) if field.kind == "time")


def _polars_type(field: Field) -> pl.DataType:
    match field.kind:
        case "list":
            return pl.List(_polars_type(field.parts[0]))
        case "tuple":
            return pl.Array(_polars_type(field.parts[0]), len(field.parts))
        case "struct":
            return pl.Struct({part.name: _polars_type(part) for part in field.parts})
        case kind:
            return _POLARS[kind]


def arrow_schema(struct: type[msgspec.Struct]) -> pa.Schema:
    """Columns of an Arrow stream of such messages; times are timestamps of nanoseconds, UTC."""
    import pyarrow as pa  # noqa: PLC0415 - costs who reads and writes no Arrow half a tenth of a second

    return pa.schema([(field.name, _arrow_type(field)) for field in fields_of(struct)])


def _arrow_type(field: Field) -> pa.DataType:
    import pyarrow as pa  # noqa: PLC0415

    match field.kind:
        case "list":
            return pa.list_(_arrow_type(field.parts[0]))
        case "tuple":
            return pa.list_(_arrow_type(field.parts[0]), len(field.parts))
        case "struct":
            return pa.struct([(part.name, _arrow_type(part)) for part in field.parts])
        case "time":
            return pa.timestamp("ns", "UTC")
        case kind:
            return {"number": pa.float64(), "integer": pa.int64(), "flag": pa.bool_()}.get(kind, pa.string())


class TableColumn(NamedTuple):
    """A column of a table.

    Attributes:
        type: as PostgreSQL calls it.
        nullable: whether it may be null.
        path: the field, or the field and its part, that it stores.
        dtype: of the column of a frame that holds it.
    """

    name: str
    type: str
    nullable: bool
    path: tuple[str, ...]
    dtype: pl.DataType

    @classmethod
    def of(cls, name: str, field: Field, owner: Field | None = None) -> TableColumn:
        """The column of a field, or of a part of its owner."""
        nullable = field.nullable or (owner is not None and owner.nullable)
        path = (field.name,) if owner is None else (owner.name, field.name)
        return cls(name, sql_type(field), nullable, path, _polars_type(field))


def table_columns(struct: type[msgspec.Struct]) -> tuple[TableColumn, ...]:
    """Columns of a table of such messages: narrow and typed, a struct in a column for each of its parts."""
    return tuple(column for field in fields_of(struct) for column in _table_columns(field))


def _table_columns(field: Field) -> list[TableColumn]:
    if field.kind != "struct":
        return [TableColumn.of(field.name, field)]
    return [TableColumn.of(f"{field.name}_{part.name}", part, field) for part in field.parts]


def sql_type(field: Field) -> str:
    """The type of the column that holds a field; arrays have as many dimensions as their values."""
    if field.kind in ("list", "tuple"):
        return f"{sql_type(field.parts[0]).removesuffix('[]')}[]"
    return "integer" if _is_short(field) else _SQL[field.kind]


def _is_short(field: Field) -> bool:
    """Whether it is an integer of at most 32 bits."""
    least, most = field.bounds
    return field.kind == "integer" and None not in (least, most) and -_SHORT <= (least or 0) <= (most or 0) < _SHORT
