"""The progress of each flow through its log, stored with the outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from types import MappingProxyType
from typing import Final, NamedTuple

import psycopg
from psycopg import sql

from contracts.batch import MicroBatch, Outcomes
from contracts.progress import Reached, Source

NOWHERE: Final[Mapping[Source, int]] = MappingProxyType({})
COUNTS: Final = tuple(field.name for field in fields(Outcomes))


class _Columns(NamedTuple):
    names: sql.Composed
    values: sql.Composed


# For rows of partitions that have not been read yet.
NO_COUNTS: Final = _Columns(
    sql.SQL(", ").join(map(sql.Identifier, COUNTS)), sql.SQL(", ").join(sql.Literal(0) for _ in COUNTS)
)

# A repeated or outdated write must not move progress back: the greater offset wins.
_ADVANCE: Final = sql.SQL("""
WITH before AS (
    SELECT next_offset FROM progress WHERE flow = %(flow)s AND topic = %(topic)s AND partition = %(partition)s
)
INSERT INTO progress AS stored (flow, topic, partition, next_offset, {counts})
VALUES (%(flow)s, %(topic)s, %(partition)s, %(next_offset)s, {values})
ON CONFLICT (flow, topic, partition) DO UPDATE
SET (next_offset, {counts}, updated_at) = (EXCLUDED.next_offset, {new}, now())
WHERE EXCLUDED.next_offset > stored.next_offset
RETURNING topic, partition, first_offset, (SELECT next_offset FROM before)
""").format(
    counts=NO_COUNTS.names,
    values=sql.SQL(", ").join(map(sql.Placeholder, COUNTS)),
    new=sql.SQL(", ").join(sql.Identifier("excluded", name) for name in COUNTS),
)


def advance(cursor: psycopg.Cursor, flow: str, batches: Sequence[MicroBatch]) -> dict[Source, Reached | None]:
    """Records the last batch of each partition; returns the former progress of each partition that has advanced."""
    last = {(batch.topic, batch.partition): batch for batch in batches}
    cursor.executemany(
        _ADVANCE,
        [
            {"flow": flow, "topic": topic, "partition": partition, "next_offset": batch.next_offset}
            | asdict(batch.outcomes)
            for (topic, partition), batch in sorted(last.items(), key=lambda item: item[0])
        ],
        returning=True,
    )
    moved = [row for result in cursor.results() for row in result]
    return {
        (topic, partition): None if before is None else Reached(first, before)
        for topic, partition, first, before in moved
    }


def reached_by(batches: Sequence[MicroBatch]) -> dict[Source, int]:
    """The next offset of each partition after its last batch."""
    return {(batch.topic, batch.partition): batch.next_offset for batch in batches}


def reached(connection: psycopg.Connection, flow: str) -> dict[Source, Reached]:
    """The committed progress of each partition."""
    rows = connection.execute(
        "SELECT topic, partition, first_offset, next_offset FROM progress WHERE flow = %s", (flow,)
    )
    return {(topic, partition): Reached(first, next_offset) for topic, partition, first, next_offset in rows}
