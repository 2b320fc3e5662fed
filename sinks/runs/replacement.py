"""What a run has computed, put in the place of what the live tables hold of its range: all of it, or none.

The live flow may go on writing meanwhile. What it has made of records that the run has not read is newer than anything
of the run's, and stays: bars that were amended since, and windows that closed since, with their features and signals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import psycopg
from psycopg import sql

from sinks.connection import session, settle_schema
from sinks.merge import Target, targets
from sinks.runs.names import RunError, schema_of
from sinks.runs.registry import drop_in
from sinks.runs.span import Part
from sinks.schema import columnstore, rollups

# Series of which the run has rows: of no other has the log said anything.
_OF_SERIES: Final = sql.SQL(
    '({relation}.provider, {relation}.symbol, {relation}."interval")'
    ' IN (SELECT provider, symbol, "interval" FROM {run}.series)'
)
_NEWER: Final = sql.SQL(
    "coalesce({relation}.source_offset >= (SELECT next_offset FROM {run}.progress AS read"
    " WHERE read.topic = {relation}.source_topic AND read.partition = {relation}.partition), false)"
)
_OTHERS: Final = sql.SQL(
    "SELECT source_topic, count(*) FROM {live} AS t WHERE {within} AND {of_series} AND source_topic <> ALL(%s)"
    " GROUP BY 1 ORDER BY 1"
)
_DELETE: Final = sql.SQL("DELETE FROM {live} AS t WHERE {within} AND {of_series} AND NOT {newer}")
_INSERT: Final = sql.SQL(
    "INSERT INTO {live} ({columns}) SELECT {columns} FROM {computed} AS t WHERE {there} ON CONFLICT DO NOTHING"
)

# The features of a window that closed since are the live flow's, and so are its signals, which it may have none of.
_CLOSED_SINCE: Final = sql.SQL(
    'EXISTS (SELECT FROM {features} AS f WHERE (f.provider, f.symbol, f."interval", f.ts)'
    ' = (t.provider, t.symbol, t."interval", t.ts) AND {newer})'
)
_SERIES: Final = sql.SQL("INSERT INTO {live} SELECT * FROM {computed} ORDER BY 1, 2, 3, 4 ON CONFLICT DO NOTHING")


def replace(
    conninfo: str, name: str, part: Part, *, features: Sequence[str], tables: Sequence[str], topics: Sequence[str]
) -> None:
    """Does it, in one transaction, which drops the run as well. Once it is done, a second call does nothing.

    Args:
        conninfo: leads to the live tables.
        name: of the run.
        part: the rows that are replaced, of the series that the run has rows of.
        features: the names of its features.
        tables: those that its flow writes.
        topics: what live rows may come from; the rows of another topic are none that the run could replace.

    Raises:
        RunError: there are rows of another topic; nothing was changed.
        StoreUnavailable: nothing was changed, or nobody knows; call it again.
    """
    chosen = [target for target in targets(features, overwrite=True) if target.table in tables]
    # Rows of the columnstore are taken out of it in any number: as long as it takes.
    with session(conninfo, statement_timeout_ms=0) as connection:
        live = settle_schema(connection) or ""
        if connection.execute("SELECT FROM runs WHERE name = %s FOR UPDATE", [name]).fetchone() is None:
            return
        swap = _Swap(connection, live, schema_of(name), part)
        swap.lock(chosen)
        swap.refuse_others(chosen, topics)
        for target in chosen:
            swap.replace(target)
        swap.list_series()
        drop_in(connection, name)


class _Swap:
    def __init__(self, connection: psycopg.Connection, live: str, run: str, part: Part) -> None:
        self._connection, self._live, self._run, self._part = connection, live, run, part

    def lock(self, chosen: Sequence[Target]) -> None:
        """Holds the live flow back, in the order in which it writes; readers go on."""
        for target in chosen:  # without the chunks of a hypertable, which are written by way of it
            statement = sql.SQL("LOCK TABLE ONLY {} IN SHARE ROW EXCLUSIVE MODE")
            self._connection.execute(statement.format(sql.Identifier(self._live, target.table)))

    def refuse_others(self, chosen: Sequence[Target], topics: Sequence[str]) -> None:
        """Makes sure that the run has read what the live rows come from."""
        for target in chosen:
            row = self._connection.execute(self._composed(_OTHERS, target), [list(topics)]).fetchone()
            if row is not None:
                topic, count = row
                raise RunError(
                    f"nothing was changed: the live tables hold {count:,} rows of the range from topic {topic}, which "
                    "this run has not read",
                    "narrow --from and --to",
                )

    def replace(self, target: Target) -> None:
        """The rows of one table."""
        self._connection.execute(self._composed(_DELETE, target))
        self._connection.execute(self._composed(_INSERT, target))

    def list_series(self) -> None:
        """Those that the live tables had no rows of."""
        names = {"live": sql.Identifier(self._live, "series"), "computed": sql.Identifier(self._run, "series")}
        self._connection.execute(_SERIES.format(**names))

    def _composed(self, statement: sql.SQL, target: Target) -> sql.Composed:
        table, run = target.table, sql.Identifier(self._run)
        features = sql.Identifier(self._live, "features")
        closed_since = _CLOSED_SINCE.format(features=features, newer=_newer("f", run))
        return statement.format(
            live=sql.Identifier(self._live, table),
            computed=sql.Identifier(self._run, table),
            columns=sql.SQL(", ").join(map(sql.Identifier, target.columns)),
            within=self._part.within(table, "t"),
            of_series=_OF_SERIES.format(relation=sql.Identifier("t"), run=run),
            newer=_newer("t", run),
            there=sql.SQL("NOT {}").format(closed_since) if table == "signals" else sql.SQL("true"),
        )


def _newer(relation: str, run: sql.Identifier) -> sql.Composed:
    return _NEWER.format(relation=sql.Identifier(relation), run=run)


def settle(conninfo: str, part: Part, tables: Sequence[str]) -> None:
    """Afterwards: rollups hold the new bars, and the columnstore is as it was. TimescaleDB does the same in time.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    start, end = part.span
    if start is None or end is None:
        raise ValueError("a replaced range has both ends")
    if "bars_ohlcv" in tables:
        rollups.refresh(conninfo, start, end)
    for table in tables:
        columnstore.restore(conninfo, table, start, end)
