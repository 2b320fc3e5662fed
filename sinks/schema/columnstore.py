"""Puts rows back into TimescaleDB's columnstore that a change has taken out of it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from psycopg import sql

from sinks.connection import connect, passing_errors
from sinks.schema.hypertables import Edition, edition_of
from sinks.schema.step import step

# Chunks that are in the columnstore and have rows, or the room of such, outside of it.
_TAKEN_APART: Final = """
SELECT chunk_schema, chunk_name FROM timescaledb_information.chunks
WHERE hypertable_schema = current_schema() AND hypertable_name = %s AND is_compressed
    AND range_end > %s AND range_start < %s
    AND pg_relation_size(format('%%I.%%I', chunk_schema, chunk_name)::regclass) > 0
ORDER BY range_start"""


def restore(conninfo: str, table: str, start: datetime, end: datetime) -> None:
    """For chunks that hold rows with start ≤ time < end. The room that the rows took is given back.

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
            # The second takes any transaction of the server, in whatever database, for one that may still look at what
            # has just been deleted, and keeps it; the first does not, but gives back no room of indexes and batches.
            for vacuum in ("VACUUM {}", "VACUUM (FULL) {}"):
                connection.execute(sql.SQL(vacuum).format(chunk))
