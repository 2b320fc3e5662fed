"""Outputs that have lost acknowledged data: a restored backup, or a failover that lost commits.

A flow that notices such a loss while it runs restarts from its last snapshot. If the output lacks even data that it had
acknowledged before that snapshot, only the log can restore it. Then a mark is set in the database, next to the
progress: the runtime that keeps the saved state finds it there, on whichever machine the loss was noticed, and discards
the state. The mark is removed when a source begins from there.
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
    """The acknowledged data that is lost."""
    found = {}
    for source, (first, end) in acknowledged.items():
        start = stored[source].next_offset if source in stored else first
        if start < end:
            found[source] = Loss(first, start, end)
    return found


def check(conninfo: str, flow: str, acknowledged: Mapping[Source, Reached]) -> dict[Source, Reached]:
    """Checks that the database still has what saved state resumes from; returns its progress.

    Raises:
        SetBack: it does not; the loss has been marked.
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
    """Records from where the flow has to read again.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    with session(conninfo) as connection:
        _write(connection, flow, {source: (loss.first_offset, loss.start) for source, loss in lost.items()})


def keep_beginnings(conninfo: str, flow: str, known: Mapping[Source, Reached]) -> None:
    """Records where the flow began, for a database that may have lost it.

    Raises:
        StoreUnavailable: it cannot be reached.
    """
    with session(conninfo) as connection:
        _write(connection, flow, {source: (at.first_offset, None) for source, at in known.items()})


def is_marked(conninfo: str, flow: str) -> bool:
    """Whether the flow has to read the log again; false for a database without the table.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    query = "SELECT EXISTS (SELECT FROM progress WHERE flow = %s AND again_from IS NOT NULL)"
    with suppress(UndefinedTable, UndefinedColumn), session(conninfo) as connection:
        return connection.execute(query, [flow]).fetchone() == (True,)
    return False


def _write(connection: psycopg.Connection, flow: str, marks: Mapping[Source, tuple[int, int | None]]) -> None:
    """Writes, for each source, where the flow began and the offset to read again from, if any."""
    with connection.cursor() as cursor:
        cursor.executemany(
            _MARK,
            [
                {"flow": flow, "topic": topic, "partition": partition, "first": first, "again_from": again_from}
                for (topic, partition), (first, again_from) in marks.items()
            ],
        )
