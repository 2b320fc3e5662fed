"""Writes results to TimescaleDB, or to plain PostgreSQL: one transaction per flush.

Rows are copied into temporary staging tables and merged from there (`sinks.merge`), so that writes are idempotent. A
flow that is ahead of everything stored writes new rows only, and a merge costs the database as much again as the COPY:
after a flush whose every row changed something, the next is copied straight into the tables. If a key exists already,
that fails, and the flush is merged instead. Progress through the log is written in the same transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import polars as pl
import psycopg

from contracts.batch import MicroBatch
from contracts.progress import NOT_BEGUN, Reached, SetBack, Source
from sinks import progress, set_back
from sinks.connection import DATA_ERRORS, connect, passing_errors, settle_schema, transaction
from sinks.copy_first import CopyFirst
from sinks.merge import Target
from sinks.queries.series import KnownSeries
from sinks.repeats import Repeats
from sinks.schema.chunks import Chunks, Rows
from sinks.staging import table_rows
from sinks.store_rows import Stored, copy_rows, merge_by_halves, merge_rows
from sinks.write_result import WriteResult
from telemetry.metrics import LAST_FLUSH, STORE_DURATION

# Errors of a COPY into a table that a merge does not raise: existing keys, views, and row-level security.
_REFUSALS: Final = (*DATA_ERRORS, psycopg.NotSupportedError, psycopg.ProgrammingError)

_Store = Callable[[psycopg.Cursor, Target, pl.DataFrame, Stored], WriteResult]


class TimescaleWriter:
    """Writes over one connection, opened when first needed and again after a failure. Not thread-safe.

    Args:
        conninfo: libpq URL or connection string of a database that `sinks.schema.migrate.migrate` has been run on.
        flow: name under which progress is stored.
        targets: the tables that it writes, and how.
        partitions: number of partitions of the topic. Until all have begun, each write looks for new ones.
        overwrite: new rows replace stored ones that differ, regardless of their source.
    """

    def __init__(
        self, conninfo: str, *, flow: str, targets: Sequence[Target], partitions: int = 1, overwrite: bool = False
    ) -> None:
        self._conninfo: Final = conninfo
        self._flow: Final = flow
        self._targets: Final = targets
        self._connection: psycopg.Connection | None = None
        self._partitions: Final = partitions
        self._overwrite: Final = overwrite
        self._reached: Mapping[Source, Reached] = {}  # acknowledged or read back, whichever is greater
        self._series = KnownSeries()
        self._chunks = Chunks()
        self._copy_first = CopyFirst()
        self._repeats = Repeats()

    def write(self, batches: Sequence[MicroBatch]) -> WriteResult:
        """Writes `batches`, in log order for each partition, and their progress, atomically.

        But rows that span very many chunks of TimescaleDB are written in several transactions, and progress last.

        Rows that the database refuses are skipped and returned; they do not block the others.

        Raises:
            SetBack: nothing was written, as the database has lost acknowledged data.
            StoreUnavailable: nothing was written, or the outcome is unknown; write the same batches again.
        """
        try:
            rows = [(target, self._repeats.without(target, table_rows(target, batches))) for target in self._targets]
            with passing_errors():
                result = self._write(rows, batches)
        except SetBack:
            self.close()
            set_back.keep_beginnings(self._conninfo, self._flow, self._reached)
            raise
        except BaseException:
            self.close()
            raise
        if result.refused:  # a row that is not stored must not keep another one from being refused
            self._repeats = Repeats()
        return result

    @property
    def reached(self) -> Mapping[Source, Reached]:
        """The partitions' progress acknowledged by the database, as far as known."""
        return self._reached

    def resume(self, acknowledged: Mapping[Source, Reached]) -> None:
        """Takes over an earlier writer's progress, and checks that the database still has it.

        Raises:
            SetBack: it does not; the loss has been marked in the database.
            StoreUnavailable: the database cannot be reached.
        """
        if set_back.losses(acknowledged, self._reached):  # not confirmed yet
            self._note(set_back.check(self._conninfo, self._flow, acknowledged))

    def close(self) -> None:
        """Closes the connection; the next write opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._series = KnownSeries()
        self._copy_first = CopyFirst()
        self._repeats = Repeats()

    def _write(self, rows: Rows, batches: Sequence[MicroBatch]) -> WriteResult:
        connection = self._connected()
        is_new = not self._overwrite and all(map(self._is_new, batches))
        result = WriteResult()
        # Progress comes last: until then, rows already written count as an earlier attempt.
        *pieces, last = self._chunks.pieces(rows)
        for piece in pieces:
            result.add(self._write_piece(connection, piece, (), is_new=is_new))
        result.add(self._write_piece(connection, last, batches, is_new=is_new))
        if count := sum(frame.height for _, frame in rows):
            self._copy_first.flushed(is_new=sum(result.changed.values()) == count)
        self._note(
            {
                source: Reached(self._reached.get(source, NOT_BEGUN).first_offset, offset)
                for source, offset in progress.reached_by(batches).items()
            }
        )
        if len(self._reached) < self._partitions:
            self._look(connection)
        return result

    def _note(self, reached: Mapping[Source, Reached]) -> None:
        """Notes progress, without mutating shared objects: at the start of a run another thread calls it, too."""
        further = {
            source: at for source, at in reached.items() if at.next_offset >= self._reached.get(source, at).next_offset
        }
        self._reached = {**self._reached, **further}

    def _look(self, connection: psycopg.Connection) -> None:
        with transaction(connection):
            self._note(progress.reached(connection, self._flow))

    def _write_piece(
        self, connection: psycopg.Connection, rows: Rows, batches: Sequence[MicroBatch], *, is_new: bool
    ) -> WriteResult:
        result = self._copied(connection, rows, batches) if is_new and self._copy_first.is_likely else None
        return result or self._merged(connection, rows, batches)

    def _copied(self, connection: psycopg.Connection, rows: Rows, batches: Sequence[MicroBatch]) -> WriteResult | None:
        """Copies the rows; returns None if the key of a row was stored already."""
        try:
            result = self._transact(connection, rows, batches, copy_rows)
        except _REFUSALS:
            self._copy_first.refused()
            return None
        self._copy_first.confirmed()
        return result

    def _is_new(self, batch: MicroBatch) -> bool:
        is_beyond = batch.next_offset > self._reached.get((batch.topic, batch.partition), NOT_BEGUN).next_offset
        return not batch.has_results or (is_beyond and not batch.bars["revision"].max())

    def _merged(self, connection: psycopg.Connection, rows: Rows, batches: Sequence[MicroBatch]) -> WriteResult:
        try:
            return self._transact(connection, rows, batches, merge_rows)
        except DATA_ERRORS:
            return self._transact(connection, rows, batches, merge_by_halves)

    def _transact(
        self, connection: psycopg.Connection, rows: Rows, batches: Sequence[MicroBatch], store: _Store
    ) -> WriteResult:
        reached = {source: at.next_offset for source, at in self._reached.items()}
        result, stored = WriteResult(), Stored(reached, self._series, self._chunks)
        self._series.rolled_back()
        with transaction(connection), connection.cursor() as cursor:
            for target, frame in rows:
                if frame.height:
                    with STORE_DURATION.labels(target.table).time():
                        result.add(store(cursor, target, frame, stored))
            begin = time.perf_counter()
            self._advance(cursor, batches)
        if not result.refused:
            self._series.committed()
        STORE_DURATION.labels("progress").observe(time.perf_counter() - begin)
        LAST_FLUSH.set_to_current_time()
        return result

    def _advance(self, cursor: psycopg.Cursor, batches: Sequence[MicroBatch]) -> None:
        """Records progress in the transaction, so that no flush advances it past lost data."""
        before = progress.advance(cursor, self._flow, batches)
        known = {source: self._reached[source] for source in before.keys() & self._reached.keys()}
        _check(known, {source: at for source, at in before.items() if at is not None})

    def _connected(self) -> psycopg.Connection:
        if self._connection is None:
            self._connection = connect(self._conninfo)
            with transaction(self._connection):
                stored = progress.reached(self._connection, self._flow)
                _check(self._reached, stored)
                self._note(stored)
                settle_schema(self._connection)
                self._chunks = Chunks.of(self._connection, [target.table for target in self._targets])
        return self._connection


def _check(acknowledged: Mapping[Source, Reached], stored: Mapping[Source, Reached]) -> None:
    """Checks that the database still has what it had acknowledged."""
    if lost := set_back.losses(acknowledged, stored):
        raise SetBack("the database", lost)
