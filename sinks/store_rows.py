"""Writes the rows of a flush: by COPY into their table, or into a staging table from which they are merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl
import psycopg
from psycopg import sql

from contracts.errors import first_line
from contracts.progress import Source
from sinks.connection import DATA_ERRORS
from sinks.copy import copy_into
from sinks.merge import SOURCE, Target
from sinks.progress import NOWHERE
from sinks.queries.series import KnownSeries
from sinks.schema.chunks import Chunks
from sinks.staging import readable, unique_rows
from sinks.write_result import RefusedRow, WriteResult


@dataclass(frozen=True, slots=True)
class Stored:
    """What is certainly in the database.

    Attributes:
        reached: the next offset of each source; rows caused by earlier offsets have been merged before.
        series: the listed series.
        chunks: the chunks of the tables.
    """

    reached: Mapping[Source, int] = field(default_factory=lambda: NOWHERE)
    series: KnownSeries = field(default_factory=KnownSeries)
    chunks: Chunks = field(default_factory=Chunks)


def copy_rows(cursor: psycopg.Cursor, target: Target, rows: pl.DataFrame, stored: Stored) -> WriteResult:
    """Copies rows with the target's columns into its table; none of their keys may be stored already."""
    copy_into(cursor, target.table, rows)
    _list_series(cursor, target, rows, stored)
    return WriteResult(changed={target.table: rows.height})


def merge_rows(cursor: psycopg.Cursor, target: Target, rows: pl.DataFrame, stored: Stored) -> WriteResult:
    """Merges rows with the target's columns into its table, through its staging table."""
    result = WriteResult()
    cursor.execute(target.create_stage)
    for number, unique in enumerate(unique_rows(target, rows)):
        if number:
            _clear_stage(cursor, target)
        result.add(_merge_unique(cursor, target, unique, stored))
    _list_series(cursor, target, rows, stored)
    return result


def _list_series(cursor: psycopg.Cursor, target: Target, rows: pl.DataFrame, stored: Stored) -> None:
    if target.is_of_series:
        stored.series.insert(cursor, target.table, rows)


def _merge_unique(cursor: psycopg.Cursor, target: Target, rows: pl.DataFrame, stored: Stored) -> WriteResult:
    copy_into(cursor, target.stage, rows)
    leave_out = stored.chunks.may_be_columnar(cursor, target, rows)
    conflict = cursor.execute(target.leave_out, _bounds(target, rows)).fetchone() if leave_out else None
    changed = cursor.execute(target.merge).rowcount
    result = WriteResult(changed={target.table: changed})
    # Rows of another source change nothing, so if every row changed something there is no conflict to search for.
    if target.exclusive and changed < rows.height and _go_beyond(stored.reached, rows):
        if not leave_out:
            conflict = cursor.execute(target.conflicts).fetchone()
        if conflict is not None:
            result.conflicts, *example = conflict
            result.conflict_example = _conflict_text(*example)
    return result


def _bounds(target: Target, rows: pl.DataFrame) -> dict[str, object]:
    times = rows[target.time].dt.replace_time_zone("UTC")
    return {"first": times.min(), "last": times.max(), "segments": rows[target.segment].unique().to_list()}


def _go_beyond(reached: Mapping[Source, int], rows: pl.DataFrame) -> bool:
    newest = rows.group_by(SOURCE).agg(pl.col("source_offset").max())
    return any(offset >= reached.get((topic, partition), 0) for topic, partition, offset in newest.iter_rows())


def _conflict_text(key: str, stored: str, new: str) -> str:
    return f"{key}: stored from {stored}, now from {new}"


def merge_by_halves(cursor: psycopg.Cursor, target: Target, rows: pl.DataFrame, stored: Stored) -> WriteResult:
    """Finds the rows that the database refuses by bisection, and writes the others."""
    try:
        with cursor.connection.transaction():
            result = merge_rows(cursor, target, rows, stored)
            _clear_stage(cursor, target)
            return result
    except DATA_ERRORS as error:
        if rows.height == 1:
            return WriteResult(refused=[_refused(target, rows, error)])
    middle = rows.height // 2
    result = merge_by_halves(cursor, target, rows[:middle], stored)
    result.add(merge_by_halves(cursor, target, rows[middle:], stored))
    return result


def _clear_stage(cursor: psycopg.Cursor, target: Target) -> None:
    cursor.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier(target.stage)))


def _refused(target: Target, row: pl.DataFrame, error: Exception) -> RefusedRow:
    cause = row.row(0, named=True)
    return RefusedRow(
        table=target.table,
        key=row.select(readable(target, row[name]) for name in target.key).write_ndjson().strip(),
        error=first_line(error),
        row=row.select(readable(target, column) for column in row).write_ndjson().strip(),
        topic=cause["source_topic"],
        partition=cause["partition"],
        offset=cause["source_offset"],
        source_row=cause["source_row"],
        time=row[target.time].cast(pl.Datetime("ns")).to_physical().item() or 0,
    )
