"""Where a flow began to read each partition of its topic, and from which offset it has to read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeVar

import psycopg
from psycopg import sql

from contracts.progress import Reached
from sinks.connection import session, with_tables
from sinks.progress import NO_COUNTS

_T = TypeVar("_T")

_KNOWN: Final = """
SELECT partition, first_offset, least(next_offset, again_from), next_offset > first_offset OR again_from IS NOT NULL
FROM progress WHERE flow = %s AND topic = %s
"""
_BEGIN: Final = sql.SQL("""
INSERT INTO progress (flow, topic, partition, first_offset, next_offset, {counts})
VALUES (%(flow)s, %(topic)s, %(partition)s, %(offset)s, %(offset)s, {zeros})
ON CONFLICT (flow, topic, partition) DO UPDATE SET again_from = NULL
WHERE progress.again_from IS NOT NULL
""").format(counts=NO_COUNTS.names, zeros=NO_COUNTS.values)


@dataclass
class Beginnings:
    """The beginnings of one flow, as of the first call; each call may raise StoreUnavailable.

    Attributes:
        create_tables: called for a database without tables, or with those of an older version.
    """

    conninfo: str
    flow: str
    topic: str
    create_tables: Callable[[], object]

    @property
    def known(self) -> Mapping[int, Reached]:
        """By partition, where the flow began, and up to which offset all outputs hold the results."""
        return {partition: Reached(first, complete) for partition, first, complete, _ in self._rows}

    @property
    def has_begun(self) -> bool:
        """Whether the flow has made progress in any partition."""
        return any(has_moved for *_, has_moved in self._rows)

    def begin(self, partition: int, offset: int) -> None:
        """Records that the flow reads a partition from its beginning: from `offset` if it has never read it."""
        place = {"flow": self.flow, "topic": self.topic, "partition": partition, "offset": offset}
        self._in_session(lambda connection: connection.execute(_BEGIN, place))

    @cached_property
    def _rows(self) -> list[tuple[int, int, int, bool]]:
        return self._in_session(lambda connection: connection.execute(_KNOWN, [self.flow, self.topic]).fetchall())

    def _in_session(self, call: Callable[[psycopg.Connection], _T]) -> _T:
        def called() -> _T:
            with session(self.conninfo) as connection:
                return call(connection)

        return with_tables(called, self.create_tables)
