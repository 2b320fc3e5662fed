"""An output that has gone back behind what it had acknowledged: a restored backup, a failover that lost commits.

A flow that notices it while it runs starts again from its last snapshot. If the output lacks even what it had
acknowledged before that was taken, only the log still tells it. That is marked in the database, beside the progress:
whoever keeps the saved state finds it there, on whichever machine the loss was noticed, and throws the state away. The
mark goes when a source has begun anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import psycopg
from psycopg import sql
from psycopg.errors import UndefinedColumn, UndefinedTable

from contracts.progress import Loss, Reached, SetBack, Source
from sinks.connection import session
from sinks.progress import NO_COUNTS, reached

_MARK: Final = sql.SQL("""
INSERT INTO progress AS stored (flow, topic, partition, first_offset, next_offset, again_from, {counts})
VALUES (%(flow)s, %(topic)s, %(partition)s, %(first)s, %(first)s, %(again_from)s, {zeros})
ON CONFLICT (flow, topic, partition) DO UPDATE
SET again_from = least(stored.again_from, greatest(stored.first_offset, EXCLUDED.again_from))
WHERE EXCLUDED.again_from IS NOT NULL
""").format(counts=NO_COUNTS.names, zeros=NO_COUNTS.values)


def losses(acknowledged: Mapping[Source, Reached], stored: Mapping[Source, Reached]) -> dict[Source, Loss]:
    """What is lost of what was acknowledged."""
    found = {}
    for source, (first, end) in acknowledged.items():
        start = stored[source].next_offset if source in stored else first
        if start < end:
            found[source] = Loss(first, start, end)
    return found


def check(conninfo: str, flow: str, acknowledged: Mapping[Source, Reached]) -> dict[Source, Reached]:
    """Makes sure that the database still has what saved state goes on from; what it has.

    Raises:
        SetBack: it has not, and that is marked.
        StoreUnavailable: it cannot be reached.
    """
    with session(conninfo) as connection:
        stored = reached(connection, flow)
        lost = losses(acknowledged, stored)
        if lost:
            starts = {source: lost[source].start if source in lost else None for source in acknowledged}
            _write(connection, flow, {source: (at.first_offset, starts[source]) for source, at in acknowledged.items()})
    if lost:
        raise SetBack("the database", lost)
    return stored


def mark(conninfo: str, flow: str, lost: Mapping[Source, Loss]) -> None:
    """Writes down what the flow has to read again.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    with session(conninfo) as connection:
        _write(connection, flow, {source: (loss.first_offset, loss.start) for source, loss in lost.items()})


def keep_beginnings(conninfo: str, flow: str, known: Mapping[Source, Reached]) -> None:
    """Writes down where the flow has begun, for a database that may no longer know.

    Raises:
        StoreUnavailable: it cannot be reached.
    """
    with session(conninfo) as connection:
        _write(connection, flow, {source: (at.first_offset, None) for source, at in known.items()})


def is_marked(conninfo: str, flow: str) -> bool:
    """Whether the flow has to read the log again; a database without the table cannot say so.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    query = "SELECT EXISTS (SELECT FROM progress WHERE flow = %s AND again_from IS NOT NULL)"
    with suppress(UndefinedTable, UndefinedColumn), session(conninfo) as connection:
        return connection.execute(query, [flow]).fetchone() == (True,)
    return False


def _write(connection: psycopg.Connection, flow: str, marks: Mapping[Source, tuple[int, int | None]]) -> None:
    """For each source, where the flow began, and from where it has to read again, if it has to."""
    with connection.cursor() as cursor:
        cursor.executemany(
            _MARK,
            [
                {"flow": flow, "topic": topic, "partition": partition, "first": first, "again_from": again_from}
                for (topic, partition), (first, again_from) in marks.items()
            ],
        )
