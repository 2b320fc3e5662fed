"""How far each flow has turned the log into outputs, kept beside the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Final

import psycopg
from psycopg import sql

from contracts.batch import MicroBatch, Outcomes

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
