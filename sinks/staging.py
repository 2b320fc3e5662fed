"""The rows of a flush, brought to a table's columns and made unique by its key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from contracts import frames
from contracts.batch import MicroBatch
from sinks.merge import CAUSE, SOURCE, Target

_TIMES: Final = ("window_start", "window_end", "ts")
_NAMES: Final = {"source_offset": "offset", "source_row": "row"}  # of the table, and of what comes
_TYPES: Final[dict[str, type[pl.DataType]]] = {"source_row": pl.Int32, "revision": pl.Int32, "meta": pl.Binary}


def table_rows(target: Target, batches: Sequence[MicroBatch]) -> pl.DataFrame:
    """All rows of `batches` for the target, its columns of the types that `sinks.copy` sends."""
    parts = [_stored(target, batch, frame) for batch in batches if (frame := _frame(target, batch)).height]
    return pl.concat(parts) if parts else pl.DataFrame()


def _stored(target: Target, batch: MicroBatch, frame: pl.DataFrame) -> pl.DataFrame:
    """Put together from columns, which costs a third of a query: a flush has many small frames."""
    source = {"source_topic": pl.Series([batch.topic]), "partition": pl.Series([batch.partition], dtype=pl.Int32)}
    columns = {name: value.new_from_index(0, frame.height) for name, value in source.items()}
    for name in target.columns:
        if name not in source:
            columns[name] = _column(name, frame[_NAMES.get(name, name)])
    return pl.DataFrame([columns[name].alias(name) for name in target.columns])


def _column(name: str, column: pl.Series) -> pl.Series:
    """As the database wants it, where that is otherwise than it comes."""
    if name in _TIMES:  # never null; NumPy divides in a third of the time
        return pl.Series(column.to_numpy() // 1_000).cast(pl.Datetime("us"))
    return column.cast(_TYPES[name]) if name in _TYPES else column


def _frame(target: Target, batch: MicroBatch) -> pl.DataFrame:
    if target.table == "features":
        return pl.DataFrame() if batch.features is None else batch.features
    return batch.bars if target.key == frames.BAR_KEY else batch.signals


def unique_rows(target: Target, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Frames with at most one row per key, to be merged one after the other: one, unless sources are in conflict.

    Rows of one key become one as they would have in the table, so what is stored does not depend on the flush.
    """
    if rows[list(target.key)].hash_rows().n_unique() == rows.height:  # nearly always, and by far the soonest known
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
    """The source that was first at a key goes first: if the key is new, it is that source's from now on."""
    key, by_source = list(target.key), [*target.key, *SOURCE]
    while unique.n_unique(key) < unique.height:
        first = rows.unique(key, keep="first", maintain_order=True).select(by_source)
        yield unique.join(first, on=by_source, how="semi", maintain_order="left")
        rows = rows.join(first, on=by_source, how="anti", maintain_order="left")
        unique = unique.join(first, on=by_source, how="anti", maintain_order="left")
    yield unique
