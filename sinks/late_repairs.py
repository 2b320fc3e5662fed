"""Writes repaired bars and marks their late events in one transaction, so that a repair is either done or pending."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from contracts.batch import MicroBatch
from sinks.connection import session, settle_schema
from sinks.merge import targets
from sinks.schema import columnstore, rollups
from sinks.schema.chunks import Chunks
from sinks.staging import table_rows
from sinks.store_rows import Stored, merge_rows
from sinks.write_result import WriteResult

POSITION = pl.Schema({"partition": pl.Int64, "offset": pl.Int64})


def repaired(conninfo: str, topic: str) -> pl.DataFrame:
    """Returns the records of a late topic whose windows have been repaired: columns partition and offset.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    with session(conninfo) as connection:
        cursor = connection.execute('SELECT partition, "offset" FROM late_repairs WHERE topic = %s', [topic])
        return pl.DataFrame(cursor.fetchall(), schema=POSITION, orient="row")


def write(conninfo: str, topic: str, batch: MicroBatch, done: pl.DataFrame) -> WriteResult:
    """Merges the bars of a batch, as the flow does, and marks the records `done` (POSITION) of the late topic.

    Raises:
        StoreUnavailable: nothing was written, or the outcome is unknown; repair again.
    """
    bars, *_ = targets(())
    # In the columnstore, changing one row decompresses its batch of a thousand: so there is no timeout.
    with session(conninfo, statement_timeout_ms=0) as connection, connection.cursor() as cursor:
        settle_schema(connection)
        stored = Stored(chunks=Chunks.of(connection, [bars.table]))
        rows = table_rows(bars, [batch])
        result = merge_rows(cursor, bars, rows, stored) if rows.height else WriteResult()
        cursor.execute(
            'INSERT INTO late_repairs (topic, partition, "offset")'
            " SELECT %s, * FROM unnest(%s::integer[], %s::bigint[]) ON CONFLICT DO NOTHING",
            [topic, done["partition"].to_list(), done["offset"].to_list()],
        )
        return result


def settle(conninfo: str, start: datetime, end: datetime) -> None:
    """Refreshes rollups and recompresses chunks after repairs of bars with start ≤ window_start < end.

    Raises:
        StoreUnavailable: the database cannot be reached. TimescaleDB's own jobs will do the same later.
    """
    rollups.refresh(conninfo, start, end)
    columnstore.restore(conninfo, "bars_ohlcv", start, end)


def forget(conninfo: str, topic: str, first: Mapping[int, int]) -> None:
    """Deletes the marks of records before the topic's first offsets, which its retention has deleted.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    with session(conninfo) as connection:
        connection.execute(
            "DELETE FROM late_repairs USING unnest(%s::integer[], %s::bigint[]) AS kept (partition, first)"
            ' WHERE topic = %s AND late_repairs.partition = kept.partition AND "offset" < kept.first',
            [list(first), list(first.values()), topic],
        )
