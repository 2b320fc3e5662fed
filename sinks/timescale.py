"""Writes bars, features and signals to TimescaleDB, or to plain PostgreSQL: one transaction per flush.

Rows go by COPY into temporary staging tables and are merged from there (`sinks.merge`), so that writing the same
batches again changes nothing. A flow that is ahead of all that is stored writes nothing but new rows, and a merge costs
the database as much again as the COPY: after a flush that changed something with every row, the next goes by COPY
straight into the tables. If a row of the same key is there already, that fails, and the flush is merged after all.
Progress through the log is written in the same transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl
import psycopg
from polars import selectors as cs
from psycopg import sql

from contracts.batch import MicroBatch
from sinks import progress
from sinks.ahead import Ahead
from sinks.connection import DATA_ERRORS, connect, first_line, passing_errors, transaction
from sinks.copy import copy_into
from sinks.merge import SOURCE, Target, targets
from sinks.progress import NOWHERE, Source
from sinks.staging import table_rows, unique_rows
from telemetry.metrics import LAST_FLUSH, STORE_DURATION


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that the database would not take: a value it cannot hold, or a broken constraint."""

    table: str
    key: str  # JSON object
    error: str
    row: str  # JSON object
    topic: str
    partition: int
    offset: int
    source_row: int


@dataclass(slots=True)
class WriteResult:
    """What one write did: `changed` counts the rows inserted or updated, by table.

    `conflicts` counts bars left out because a bar from another partition stands in their place; it is counted when the
    log gets there, and not again when that part of it is read once more.
    """

    changed: dict[str, int] = field(default_factory=dict)
    conflicts: int = 0
    conflict_example: str = ""
    refused: list[RefusedRow] = field(default_factory=list)

    def add(self, other: WriteResult) -> None:
        """Counts in what another part of the same write did."""
        for table, count in other.changed.items():
            self.changed[table] = self.changed.get(table, 0) + count
        self.conflicts += other.conflicts
        self.conflict_example = self.conflict_example or other.conflict_example
        self.refused += other.refused


# What a COPY into a table can meet and a merge need not: stored keys, and tables that are views or guard their rows.
_REFUSALS: Final = (*DATA_ERRORS, psycopg.NotSupportedError, psycopg.ProgrammingError)

_Rows = Sequence[tuple[Target, pl.DataFrame]]
_Merge = Callable[[psycopg.Cursor, Target, pl.DataFrame, Mapping[Source, int]], WriteResult]


class TimescaleWriter:
    """One connection, opened when first needed and again after it broke. Not for use by several threads at once.

    Args:
        conninfo: libpq URL or connection string of a database that `sinks.migrate.migrate` has been run on.
        flow: name under which progress is kept.
        features: names of the configured features, each a column of the features frames and of the table.
        overwrite: new rows replace stored ones that differ, whoever wrote them.
    """

    def __init__(self, conninfo: str, *, flow: str, features: Sequence[str], overwrite: bool = False) -> None:
        self._conninfo: Final = conninfo
        self._flow: Final = flow
        self._targets: Final = targets(features, overwrite=overwrite)
        self._connection: psycopg.Connection | None = None
        self._overwrite: Final = overwrite
        self._reached: dict[Source, int] = {}
        self._ahead = Ahead()

    def write(self, batches: Sequence[MicroBatch]) -> WriteResult:
        """Writes `batches`, which are in log order for each partition, and their progress: all or nothing.

        Rows that the database refuses are left out and returned; they do not hold up the others.

        Raises:
            StoreUnavailable: nothing was written, or nobody knows; write the same batches again.
        """
        rows = [(target, table_rows(target, batches)) for target in self._targets]
        try:
            with passing_errors():
                return self._write(rows, batches)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the connection; the next write opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._ahead = Ahead()

    def _write(self, rows: _Rows, batches: Sequence[MicroBatch]) -> WriteResult:
        connection = self._connected()
        result = self._copied(connection, rows, batches)
        if result is None:
            result = self._merged(connection, rows, batches)
        if count := sum(frame.height for _, frame in rows):
            self._ahead.flushed(is_new=sum(result.changed.values()) == count)
        for source, offset in progress.reached_by(batches).items():
            self._reached[source] = max(offset, self._reached.get(source, 0))
        return result

    def _copied(self, connection: psycopg.Connection, rows: _Rows, batches: Sequence[MicroBatch]) -> WriteResult | None:
        """None if a row may be stored already, or turned out to be."""
        if self._overwrite or not self._ahead.is_likely or not all(map(self._is_new, batches)):
            return None
        try:
            result = self._transact(connection, rows, batches, _copy_rows)
        except _REFUSALS:
            self._ahead.refused()
            return None
        self._ahead.confirmed()
        return result

    def _is_new(self, batch: MicroBatch) -> bool:
        is_beyond = batch.next_offset > self._reached.get((batch.topic, batch.partition), 0)
        return not batch.has_results or (is_beyond and not batch.bars["revision"].max())

    def _merged(self, connection: psycopg.Connection, rows: _Rows, batches: Sequence[MicroBatch]) -> WriteResult:
        try:
            return self._transact(connection, rows, batches, merge_rows)
        except DATA_ERRORS:
            return self._transact(connection, rows, batches, _merge_by_halves)

    def _transact(
        self, connection: psycopg.Connection, rows: _Rows, batches: Sequence[MicroBatch], merge: _Merge
    ) -> WriteResult:
        result = WriteResult()
        with transaction(connection), connection.cursor() as cursor:
            for target, frame in rows:
                if frame.height:
                    with STORE_DURATION.labels(target.table).time():
                        result.add(merge(cursor, target, frame, self._reached))
            begin = time.perf_counter()
            progress.advance(cursor, self._flow, batches)
        STORE_DURATION.labels("progress").observe(time.perf_counter() - begin)
        LAST_FLUSH.set_to_current_time()
        return result

    def _connected(self) -> psycopg.Connection:
        if self._connection is None:
            self._connection = connect(self._conninfo)
            with transaction(self._connection):
                self._reached = progress.reached(self._connection, self._flow)
        return self._connection


def _copy_rows(
    cursor: psycopg.Cursor, target: Target, rows: pl.DataFrame, _: Mapping[Source, int] = NOWHERE
) -> WriteResult:
    copy_into(cursor, target.table, rows)
    return WriteResult(changed={target.table: rows.height})


def merge_rows(
    cursor: psycopg.Cursor, target: Target, rows: pl.DataFrame, reached: Mapping[Source, int] = NOWHERE
) -> WriteResult:
    """Takes rows with the target's columns into its table, by way of its staging table.

    What is caused by an offset before those `reached` was merged before.
    """
    result = WriteResult()
    cursor.execute(target.create_stage)
    for number, unique in enumerate(unique_rows(target, rows)):
        if number:
            _clear_stage(cursor, target)
        result.add(_merge_unique(cursor, target, unique, reached))
    return result


def _merge_unique(
    cursor: psycopg.Cursor, target: Target, rows: pl.DataFrame, reached: Mapping[Source, int]
) -> WriteResult:
    copy_into(cursor, target.stage, rows)
    cursor.execute(target.merge)
    result = WriteResult(changed={target.table: cursor.rowcount})
    # Rows of another source change nothing, so when every row changed something there is no conflict to look for.
    if target.exclusive and cursor.rowcount < rows.height and _go_beyond(reached, rows):
        conflict = cursor.execute(target.conflicts).fetchone()
        if conflict is not None:
            result.conflicts, *example = conflict
            result.conflict_example = _conflict_text(*example)
    return result


def _go_beyond(reached: Mapping[Source, int], rows: pl.DataFrame) -> bool:
    newest = rows.group_by(SOURCE).agg(pl.col("source_offset").max())
    return any(offset >= reached.get((topic, partition), 0) for topic, partition, offset in newest.iter_rows())


def _conflict_text(key: str, stored: str, new: str) -> str:
    return f"{key}: stored from {stored}, now from {new}"


def _merge_by_halves(
    cursor: psycopg.Cursor, target: Target, rows: pl.DataFrame, reached: Mapping[Source, int]
) -> WriteResult:
    """Finds the rows that the database refuses, and writes the others."""
    try:
        with cursor.connection.transaction():
            result = merge_rows(cursor, target, rows, reached)
            _clear_stage(cursor, target)
            return result
    except DATA_ERRORS as error:
        if rows.height == 1:
            return WriteResult(refused=[_refused(target, rows, error)])
    middle = rows.height // 2
    result = _merge_by_halves(cursor, target, rows[:middle], reached)
    result.add(_merge_by_halves(cursor, target, rows[middle:], reached))
    return result


def _clear_stage(cursor: psycopg.Cursor, target: Target) -> None:
    cursor.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier(target.stage)))


def _refused(target: Target, row: pl.DataFrame, error: Exception) -> RefusedRow:
    cause = row.row(0, named=True)
    return RefusedRow(
        table=target.table,
        key=row.select(target.key).write_ndjson().strip(),
        error=first_line(error),
        row=row.cast({cs.binary(): pl.String}).write_ndjson().strip(),
        topic=cause["source_topic"],
        partition=cause["partition"],
        offset=cause["source_offset"],
        source_row=cause["source_row"],
    )
