"""The differences between two runs, or a run and the live tables: rows that only one side has, and changed rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import polars as pl
import psycopg
from psycopg import sql

from contracts import frames
from sinks.connection import session, settle_schema
from sinks.merge import CAUSE, targets
from sinks.queries.stored import read
from sinks.runs.names import LIVE, schema_of
from sinks.runs.span import Part
from sinks.schema.tables import TIME_COLUMN

_KEYS: Final = {"bars_ohlcv": frames.BAR_KEY, "features": frames.FEATURE_KEY, "signals": frames.SIGNAL_KEY}

_BOTH: Final = sql.SQL(
    "(SELECT * FROM {a} AS t WHERE {within_a}) AS a FULL JOIN (SELECT * FROM {b} AS t WHERE {within_b}) AS b"
    " USING ({key})"
)
_COUNT: Final = sql.SQL("""
SELECT {name}, count(*) FILTER (WHERE {only_a}), count(*) FILTER (WHERE {only_b}),
    count(*) FILTER (WHERE {changed}), count(*) FILTER (WHERE NOT ({only_a} OR {only_b} OR {changed}))
FROM {both} GROUP BY 1 ORDER BY 1""")
# A changed row appears twice, once with the values of each side.
_ROWS: Final = sql.SQL("""
SELECT side.run, CASE WHEN {changed} THEN 'changed' ELSE 'only there' END AS difference, {columns}
FROM {both}, LATERAL (VALUES (1, {name_a}), (2, {name_b})) AS side (number, run)
WHERE ({changed} OR {only_a} OR {only_b}) AND NOT CASE side.number WHEN 1 THEN {only_b} ELSE {only_a} END
ORDER BY {time}, {key}, side.number LIMIT %(limit)s""")


class Side(NamedTuple):
    """One side of the comparison: the name of a run, or `live`, and the rows to compare."""

    name: str
    part: Part


class Difference(NamedTuple):
    """Row counts of a table, or of the signals with one name."""

    table: str
    name: str | None
    only_a: int
    only_b: int
    changed: int
    same: int

    @property
    def is_none(self) -> bool:
        """Whether both have the same rows."""
        return not (self.only_a or self.only_b or self.changed)


def differences(conninfo: str, a: Side, b: Side, tables: Sequence[str]) -> list[Difference]:
    """The differences of each table, signals by name. Features that only one side has are left to `features_apart`.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    found = []
    with session(conninfo, read_only=True, statement_timeout_ms=0) as connection:
        pair = _Pair(connection, a, b)
        for table in tables:
            rows = connection.execute(pair.composed(_COUNT, table)).fetchall()
            none = [] if table == "signals" else [(None, 0, 0, 0, 0)]
            found += [Difference(table, *row) for row in rows or none]
    return found


def different_rows(conninfo: str, a: Side, b: Side, table: str, limit: int) -> pl.DataFrame:
    """The first `limit` rows that differ, in time order: columns run, difference, key and values.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    with session(conninfo, read_only=True, statement_timeout_ms=0) as connection:
        pair = _Pair(connection, a, b)
        return read(connection, pair.composed(_ROWS, table), {"limit": limit})


def features_apart(conninfo: str, a: Side, b: Side) -> tuple[list[str], list[str]]:
    """The features that only `a` has, and those that only `b` has.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    with session(conninfo, read_only=True) as connection:
        pair = _Pair(connection, a, b)
        of_a, of_b = (pair.features_of(side) for side in (a, b))
    return [name for name in of_a if name not in of_b], [name for name in of_b if name not in of_a]


class _Pair:
    def __init__(self, connection: psycopg.Connection, a: Side, b: Side) -> None:
        self._connection, self._a, self._b = connection, a, b
        self._live = settle_schema(connection) or ""

    def features_of(self, side: Side) -> list[str]:
        """In the order in which they were added."""
        query = sql.SQL(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = format('%%I.%%I', %s::text, 'features')::regclass"
            " AND attnum > 0 AND NOT attisdropped AND attname <> ALL(%s) ORDER BY attnum"
        )
        others = [*frames.FEATURE_KEY, *CAUSE]
        return [name for (name,) in self._connection.execute(query, [self._schema(side), others])]

    def composed(self, query: sql.SQL, table: str) -> sql.Composed:
        """`query` for a table of both sides."""
        key, values = _KEYS[table], self._values(table)
        only_a, only_b = (sql.SQL("{}.source_offset IS NULL").format(sql.Identifier(other)) for other in ("b", "a"))
        differs = sql.SQL("{} IS DISTINCT FROM {}").format(_compared("a", values), _compared("b", values))
        changed = sql.SQL("(NOT {} AND NOT {} AND {})").format(only_a, only_b, differs if values else sql.SQL("false"))
        return query.format(
            both=self._both(table, key),
            only_a=only_a,
            only_b=only_b,
            changed=changed,
            key=_names(key),
            time=sql.Identifier(TIME_COLUMN[table]),
            columns=sql.SQL(", ").join([*map(sql.Identifier, key), *map(_chosen, values)]),
            name=sql.SQL("name" if table == "signals" else "NULL::text"),
            name_a=self._a.name,
            name_b=self._b.name,
        )

    def _both(self, table: str, key: Sequence[str]) -> sql.Composed:
        return _BOTH.format(
            a=sql.Identifier(self._schema(self._a), table),
            b=sql.Identifier(self._schema(self._b), table),
            within_a=self._a.part.within(table, "t"),
            within_b=self._b.part.within(table, "t"),
            key=_names(key),
        )

    def _schema(self, side: Side) -> str:
        return self._live if side.name == LIVE else schema_of(side.name)

    def _values(self, table: str) -> list[str]:
        """The compared columns: not the id, which follows from the key, and not the place in the log."""
        if table == "features":
            of_b = self.features_of(self._b)
            return [name for name in self.features_of(self._a) if name in of_b]
        [target] = [target for target in targets(()) if target.table == table]
        return [name for name in target.values if name != "signal_id"]


def _compared(side: str, values: Sequence[str]) -> sql.Composed:
    """Without the lineage of signals, which tells where a signal comes from, not what it is."""
    columns = [
        sql.SQL("({} - 'lineage')" if name == "meta" else "{}").format(sql.Identifier(side, name)) for name in values
    ]
    return sql.SQL("ROW({})").format(sql.SQL(", ").join(columns))


def _chosen(column: str) -> sql.Composed:
    return sql.SQL("CASE side.number WHEN 1 THEN a.{0} ELSE b.{0} END AS {0}").format(sql.Identifier(column))


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
