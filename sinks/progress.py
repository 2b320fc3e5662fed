"""How far each flow has turned the log into outputs, kept beside the outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from types import MappingProxyType
from typing import Final

import psycopg
from psycopg import sql

from contracts.batch import MicroBatch, Outcomes

Source = tuple[str, int]  # topic and partition

NOWHERE: Final[Mapping[Source, int]] = MappingProxyType({})
COUNTS: Final = tuple(field.name for field in fields(Outcomes))

# A repeated or outdated write must not move progress back, so the greater offset wins.
_ADVANCE: Final = sql.SQL("""
INSERT INTO progress AS stored (flow, topic, partition, next_offset, {counts})
VALUES (%s, %s, %s, %s, {values})
ON CONFLICT (flow, topic, partition) DO UPDATE
SET (next_offset, {counts}, updated_at) = (EXCLUDED.next_offset, {new}, now())
WHERE EXCLUDED.next_offset > stored.next_offset
""").format(
    counts=sql.SQL(", ").join(map(sql.Identifier, COUNTS)),
    values=sql.SQL(", ").join(sql.Placeholder() * len(COUNTS)),
    new=sql.SQL(", ").join(sql.Identifier("excluded", name) for name in COUNTS),
)


def advance(cursor: psycopg.Cursor, flow: str, batches: Sequence[MicroBatch]) -> None:
    """Records the last batch of each partition."""
    last = {(batch.topic, batch.partition): batch for batch in batches}
    cursor.executemany(
        _ADVANCE,
        [
            (flow, topic, partition, batch.next_offset, *asdict(batch.outcomes).values())
            for (topic, partition), batch in sorted(last.items(), key=lambda item: item[0])
        ],
    )


def reached_by(batches: Sequence[MicroBatch]) -> dict[Source, int]:
    """The next offset of each partition after its last batch."""
    return {(batch.topic, batch.partition): batch.next_offset for batch in batches}


def reached(connection: psycopg.Connection, flow: str) -> dict[Source, int]:
    """The next offset of each partition by what is committed."""
    rows = connection.execute("SELECT topic, partition, next_offset FROM progress WHERE flow = %s", (flow,))
    return {(topic, partition): offset for topic, partition, offset in rows}
