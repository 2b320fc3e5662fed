"""Messages of any type as rows of frames and of Arrow tables, and back: columns as the type's declaration has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa

from codec.timestamps import parse_timestamps
from contracts.columns import arrow_schema, polars_schema, time_fields
from contracts.fields import Field
from contracts.message import MessageType
from contracts.timestamps import format_timestamps


def to_frame(kind: MessageType, messages: Sequence[msgspec.Struct]) -> pl.DataFrame:
    """A row of `contracts.columns.polars_schema` for each of the messages, whose times are valid."""
    columns = {field.name: _cells(field, messages) for field in kind.fields}
    schema = polars_schema(kind.struct)
    times = {name: parse_timestamps(pl.Series(name, columns[name], pl.String)) for name in time_fields(kind.struct)}
    return pl.DataFrame({**columns, **times}, schema=schema)


def _cells(field: Field, messages: Sequence[msgspec.Struct]) -> list[Any]:
    values = [getattr(message, field.name) for message in messages]
    match field.kind:
        case "object":
            return [None if value is None else msgspec.json.encode(value).decode() for value in values]
        case "struct":
            return [None if value is None else msgspec.to_builtins(value) for value in values]
        case _:
            return values


def from_frame(kind: MessageType, rows: pl.DataFrame) -> list[Any]:
    """The messages of a frame that `to_frame` made; their times are written as UTC.

    Raises:
        msgspec.ValidationError: a row is no message of this type.
    """
    texts = rows.with_columns(format_timestamps(rows[name]) for name in time_fields(kind.struct))
    return [_message(kind, row) for row in texts.iter_rows(named=True)]


def flaws(kind: MessageType, messages: Sequence[Any], encoded: Sequence[bytes]) -> dict[int, str]:
    """What `kind.flaw` says about each message that has a flaw, by its place, at little cost for those without.

    Args:
        kind: their type.
        messages: structs of it; None where there is none.
        encoded: each of them as `kind.encode` writes it: its texts are examined only if one may be at fault.
    """
    suspects = (
        set[int]() if _are_plain(b"".join(encoded)) else {at for at, text in enumerate(encoded) if not _are_plain(text)}
    )
    for name in time_fields(kind.struct):
        texts = pl.Series([getattr(message, name, None) for message in messages], dtype=pl.String)
        suspects |= set((texts.is_not_null() & parse_timestamps(texts).is_null()).arg_true().to_list())
    found = {at: kind.flaw(messages[at]) for at in sorted(suspects) if messages[at] is not None}
    return {at: flaw for at, flaw in found.items() if flaw is not None}


def _are_plain(text: bytes) -> bool:
    """Whether no text in it can be longer in bytes than in characters, or hold a NUL."""
    return text.isascii() and b"\\" not in text


def _message(kind: MessageType, row: dict[str, Any]) -> Any:
    values: dict[str, Any] = {}
    for field in kind.fields:
        value = row[field.name]
        if value is not None and field.kind == "object":
            value = msgspec.Raw(value.encode())
        if value is not None or field.required:
            values[field.name] = value
    return kind.decode(msgspec.json.encode(values))


def to_arrow(kind: MessageType, rows: pl.DataFrame) -> pa.Table:
    """Rows of `polars_schema` as an Arrow table of `contracts.columns.arrow_schema`."""
    times = [pl.col(name).cast(pl.Datetime("ns", "UTC")) for name in time_fields(kind.struct)]
    return rows.with_columns(times).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(arrow_schema(kind.struct))


def from_arrow(kind: MessageType, table: pa.Table) -> pl.DataFrame:
    """Rows of `polars_schema` out of such an Arrow table."""
    rows = pl.DataFrame(pl.from_arrow(table))
    return rows.cast(polars_schema(kind.struct))
