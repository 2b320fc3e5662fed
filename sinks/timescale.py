"""Writes bars, features and signals to TimescaleDB, or to plain PostgreSQL: one transaction per flush.

Rows go by COPY into temporary staging tables and are merged from there (`sinks.merge`), so that writing the same
batches again changes nothing. A flow that is ahead of all that is stored writes nothing but new rows, and a merge costs
the database as much again as the COPY: after a flush that changed something with every row, the next goes by COPY
straight into the tables. If a row of the same key is there already, that fails, and the flush is merged after all.
Progress through the log is written in the same transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import polars as pl
import psycopg

from contracts.batch import MicroBatch
from sinks import progress
from sinks.ahead import Ahead
from sinks.chunks import Chunks, Rows
from sinks.connection import DATA_ERRORS, connect, passing_errors, settle_schema, transaction
from sinks.merge import Target, targets
from sinks.progress import Source
from sinks.series import KnownSeries
from sinks.staging import table_rows
from sinks.store_rows import Stored, copy_rows, merge_by_halves, merge_rows
from sinks.write_result import WriteResult
from telemetry.metrics import LAST_FLUSH, STORE_DURATION

# What a COPY into a table can meet and a merge need not: stored keys, and tables that are views or guard their rows.
_REFUSALS: Final = (*DATA_ERRORS, psycopg.NotSupportedError, psycopg.ProgrammingError)

_Store = Callable[[psycopg.Cursor, Target, pl.DataFrame, Stored], WriteResult]


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
        self._series = KnownSeries()
        self._chunks = Chunks()
        self._ahead = Ahead()

    def write(self, batches: Sequence[MicroBatch]) -> WriteResult:
        """Writes `batches`, which are in log order for each partition, and their progress: all or nothing.

        But if their rows lie in very many chunks of TimescaleDB, these are written some at a time, and progress last.

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
        self._series = KnownSeries()
        self._ahead = Ahead()

    def _write(self, rows: Rows, batches: Sequence[MicroBatch]) -> WriteResult:
        connection = self._connected()
        is_new = not self._overwrite and all(map(self._is_new, batches))
        result = WriteResult()
        # Progress comes last: until then it is as if rows that are there already had been written once before.
        *pieces, last = self._chunks.pieces(rows)
        for piece in pieces:
            result.add(self._write_piece(connection, piece, (), is_new=is_new))
        result.add(self._write_piece(connection, last, batches, is_new=is_new))
        if count := sum(frame.height for _, frame in rows):
            self._ahead.flushed(is_new=sum(result.changed.values()) == count)
        for source, offset in progress.reached_by(batches).items():
            self._reached[source] = max(offset, self._reached.get(source, 0))
        return result

    def _write_piece(
        self, connection: psycopg.Connection, rows: Rows, batches: Sequence[MicroBatch], *, is_new: bool
    ) -> WriteResult:
        result = self._copied(connection, rows, batches) if is_new and self._ahead.is_likely else None
        return result or self._merged(connection, rows, batches)

    def _copied(self, connection: psycopg.Connection, rows: Rows, batches: Sequence[MicroBatch]) -> WriteResult | None:
        """None if a row turned out to be stored already."""
        try:
            result = self._transact(connection, rows, batches, copy_rows)
        except _REFUSALS:
            self._ahead.refused()
            return None
        self._ahead.confirmed()
        return result

    def _is_new(self, batch: MicroBatch) -> bool:
        is_beyond = batch.next_offset > self._reached.get((batch.topic, batch.partition), 0)
        return not batch.has_results or (is_beyond and not batch.bars["revision"].max())

    def _merged(self, connection: psycopg.Connection, rows: Rows, batches: Sequence[MicroBatch]) -> WriteResult:
        try:
            return self._transact(connection, rows, batches, merge_rows)
        except DATA_ERRORS:
            return self._transact(connection, rows, batches, merge_by_halves)

    def _transact(
        self, connection: psycopg.Connection, rows: Rows, batches: Sequence[MicroBatch], store: _Store
    ) -> WriteResult:
        result, stored = WriteResult(), Stored(self._reached, self._series, self._chunks)
        self._series.rolled_back()
        with transaction(connection), connection.cursor() as cursor:
            for target, frame in rows:
                if frame.height:
                    with STORE_DURATION.labels(target.table).time():
                        result.add(store(cursor, target, frame, stored))
            begin = time.perf_counter()
            progress.advance(cursor, self._flow, batches)
        if not result.refused:
            self._series.committed()
        STORE_DURATION.labels("progress").observe(time.perf_counter() - begin)
        LAST_FLUSH.set_to_current_time()
        return result

    def _connected(self) -> psycopg.Connection:
        if self._connection is None:
            self._connection = connect(self._conninfo)
            with transaction(self._connection):
                self._reached = progress.reached(self._connection, self._flow)
                settle_schema(self._connection)
                self._chunks = Chunks.of(self._connection)
        return self._connection
