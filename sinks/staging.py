"""The rows of a flush, converted to a table's columns and deduplicated by its key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import polars as pl

from contracts.batch import MicroBatch
from sinks.array_values import array_values
from sinks.merge import CAUSE, SOURCE, Target

# What the database gets of the origin of a row.
_ORIGIN: Final[Mapping[str, Callable[[MicroBatch, pl.DataFrame], pl.Series]]] = {
    "source_topic": lambda batch, frame: pl.Series([batch.topic]).new_from_index(0, frame.height),
    "partition": lambda batch, frame: pl.Series([batch.partition], dtype=pl.Int32).new_from_index(0, frame.height),
    "source_offset": lambda _, frame: frame["offset"],
    "source_row": lambda _, frame: frame["row"].cast(pl.Int32),
}
_JSONB_VERSION: Final = "\x01"
_NOTHING: Final = pl.DataFrame()


def table_rows(target: Target, batches: Sequence[MicroBatch]) -> pl.DataFrame:
    """All rows of `batches` for the target, with columns of types that `native.copy_binary` supports."""
    parts = [_stored(target, batch, frame) for batch in batches if (frame := _frame(target, batch)).height]
    return pl.concat(parts) if parts else pl.DataFrame()


def _stored(target: Target, batch: MicroBatch, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame as stored; built column by column, at a third of a query's cost, as frames are many and small."""
    columns = {name: _ORIGIN[name](batch, frame) for name in CAUSE}
    columns |= {name: _converted(frame[name], target.types.get(name, "")) for name in (*target.key, *target.values)}
    return pl.DataFrame([columns[name].alias(name) for name in target.columns])


def _converted(column: pl.Series, kind: str) -> pl.Series:
    """A column as COPY sends it, of this type of the database; Binary is a value in the database's own form."""
    match kind:
        case "timestamptz":
            return _times(column)
        case "integer":
            return column.cast(pl.Int32)
        case "jsonb":
            return (_JSONB_VERSION + column).cast(pl.Binary)
        case "boolean":
            return column.cast(pl.String).replace_strict({"true": b"\1", "false": b"\0"}, return_dtype=pl.Binary)
        case _ if kind.endswith("[]"):
            return array_values(column, kind)
        case _:
            return column


def _times(column: pl.Series) -> pl.Series:
    """Times in microseconds; by NumPy without nulls, which divides in a third of the time."""
    whole = pl.Series(column.to_numpy() // 1_000) if not column.null_count() else column // 1_000
    return whole.cast(pl.Datetime("us"))


def readable(target: Target, column: pl.Series) -> pl.Series:
    """A column that COPY sends, for people."""
    match target.types.get(column.name, ""):
        case "jsonb":
            return column.cast(pl.String).str.strip_prefix(_JSONB_VERSION)
        case _ if column.dtype == pl.Binary:
            return column.bin.encode("hex")
        case _:
            return column


def _frame(target: Target, batch: MicroBatch) -> pl.DataFrame:
    return batch.results.get(target.stream, _NOTHING)


def unique_rows(target: Target, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yields frames with at most one row per key, to be merged in turn: a single one unless sources conflict.

    Rows of one key are merged as they would be in the table, so the stored rows do not depend on the flush.
    """
    if rows[list(target.key)].hash_rows().n_unique() == rows.height:  # nearly always, and the cheapest test by far
        yield rows
        return
    match target.within_flush:
        case "first" | "last" as keep:
            yield rows.unique(list(target.key), keep=keep, maintain_order=True)
        case _:
            yield from _in_turn(target, rows, _unique_by_source(target, rows))


def _unique_by_source(target: Target, rows: pl.DataFrame) -> pl.DataFrame:
    unique = rows.unique([*target.key, *SOURCE], keep="last", maintain_order=True)
    if target.within_flush == "filled of source" and unique.height < rows.height:
        return _first_known(target, rows)
    return unique


def _first_known(target: Target, rows: pl.DataFrame) -> pl.DataFrame:
    cause = [name for name in CAUSE if name not in SOURCE]
    groups = rows.group_by(*target.key, *SOURCE, maintain_order=True)
    return groups.agg(pl.col(target.values).drop_nulls().first(), pl.col(cause).first()).select(rows.columns)


def _in_turn(target: Target, rows: pl.DataFrame, unique: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yields the rows of a key's first source first: a new key belongs to that source from then on."""
    key, by_source = list(target.key), [*target.key, *SOURCE]
    while unique.n_unique(key) < unique.height:
        first = rows.unique(key, keep="first", maintain_order=True).select(by_source)
        yield unique.join(first, on=by_source, how="semi", maintain_order="left")
        rows = rows.join(first, on=by_source, how="anti", maintain_order="left")
        unique = unique.join(first, on=by_source, how="anti", maintain_order="left")
    yield unique
