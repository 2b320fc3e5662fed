"""Recompresses chunks of TimescaleDB's columnstore that changes have partly decompressed."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from psycopg import sql

from sinks.connection import connect, passing_errors
from sinks.schema.hypertables import Edition, edition_of
from sinks.schema.step import step

# Chunks in the columnstore that have rows, or space of deleted rows, outside of it.
_TAKEN_APART: Final = """
SELECT chunk_schema, chunk_name FROM timescaledb_information.chunks
WHERE hypertable_schema = current_schema() AND hypertable_name = %s AND is_compressed
    AND range_end > %s AND range_start < %s
    AND pg_relation_size(format('%%I.%%I', chunk_schema, chunk_name)::regclass) > 0
ORDER BY range_start"""


def restore(conninfo: str, table: str, start: datetime, end: datetime) -> None:
    """Recompresses the chunks that hold rows with start ≤ time < end, and frees the rows' space.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    with passing_errors(), connect(conninfo) as connection:
        with step(connection):
            if edition_of(connection) is not Edition.COMMUNITY:
                return
            found = connection.execute(_TAKEN_APART, [table, start, end]).fetchall()
        for names in found:
            chunk = sql.Identifier(*names)
            with step(connection):
                connection.execute(sql.SQL("CALL convert_to_columnstore({})").format(chunk.as_string()))
            # FULL keeps rows just deleted as long as any transaction of the server, in any database, is open; plain
            # VACUUM does not, but frees no space of indexes and batches.
            for vacuum in ("VACUUM {}", "VACUUM (FULL) {}"):
                connection.execute(sql.SQL(vacuum).format(chunk))
