"""How new rows of each table are merged with stored rows.

Merges are idempotent: a batch can be written again after any failure, and a run can be repeated. `overwrite` is for a
deliberate recomputation: new rows replace stored ones that differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final, Literal, NamedTuple
from zlib import crc32

import msgspec
import polars as pl
from psycopg import sql

from contracts import frames
from contracts.bar import Bar
from contracts.batch import BARS, FEATURES, SIGNALS
from contracts.columns import table_columns
from contracts.envelope import DEDUPE_KEY, stored_columns
from contracts.message import MessageType
from contracts.signal import Signal

SERIES: Final = ("provider", "symbol", "interval")
SOURCE: Final = ("source_topic", "partition")
CAUSE: Final = (*SOURCE, "source_offset", "source_row")
_BAR_ORDER: Final = ("revision", "source_offset", "source_row")
_STORED: Final = "stored"
_NEW: Final = "excluded"


class Change(NamedTuple):
    """The assignments to a stored row, and their condition."""

    assignments: sql.Composable
    condition: sql.Composable


@dataclass(frozen=True)
class Target:
    """A table, and how its merge resolves new and stored rows of the same key."""

    stream: str  # of the results of batches
    table: str
    key: tuple[str, ...]
    values: tuple[str, ...]
    types: Mapping[str, str]  # of columns that frames hold in another form, as PostgreSQL calls them
    change: Change | None  # None: a stored row stays unchanged
    within_flush: Literal["first", "last", "last of source", "filled of source"]  # which row of a key is merged
    exclusive: bool = False  # a row written by another source is a conflict to report
    time: str = "ts"
    segment: str = "symbol"  # by which the columnstore keeps rows together
    identity: str | None = None  # a column of 16 bytes that alone tells rows apart which are stored once, and stay

    @property
    def is_of_series(self) -> bool:
        """Whether its rows are of series, which are listed."""
        return set(SERIES) <= set(self.key)

    @cached_property
    def stage(self) -> str:
        """The name of its staging table, unique as other programs may share sessions through a pooler."""
        return f"stage_{self.table}_{crc32(repr(self.columns).encode()):08x}"

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are written."""
        return (*self.key, *self.values, *CAUSE)

    @cached_property
    def create_stage(self) -> bytes:
        """Creates the staging table, once per merge; it exists if an earlier transaction used the same session."""
        statement = sql.SQL("CREATE TEMPORARY TABLE IF NOT EXISTS {} (LIKE {}) ON COMMIT DELETE ROWS")
        return statement.format(sql.Identifier(self.stage), sql.Identifier(self.table)).as_bytes()

    @cached_property
    def merge(self) -> bytes:
        """Merges staged rows, unique by key, into the table. Composed once: composing takes as long as running it."""
        columns = _names(self.columns)
        statement = sql.SQL("INSERT INTO {} AS {} ({}) SELECT {} FROM {} ON CONFLICT ({}) {}").format(
            sql.Identifier(self.table),
            sql.Identifier(_STORED),
            columns,
            columns,
            sql.Identifier(self.stage),
            _names(self.key),
            self._on_conflict,
        )
        return statement.as_bytes()

    @property
    def _on_conflict(self) -> sql.Composable:
        if self.change is None:
            return sql.SQL("DO NOTHING")
        return sql.SQL("DO UPDATE SET {} WHERE {}").format(*self.change)

    @cached_property
    def leave_out(self) -> bytes:
        """Deletes staged rows that would change nothing; returns the same as `conflicts`.

        In the columnstore, finding a row reads its batch, and writing it decompresses the batch, even if the merge
        then changes nothing. The bounds (`first`, `last`, `segments`) exclude other chunks.
        """
        condition = sql.SQL("false") if self.change is None else self.change.condition
        statement = sql.SQL(
            "WITH same AS (DELETE FROM {stage} AS excluded USING {table} AS stored WHERE {stored_key} = {key}"
            " AND stored.{time} BETWEEN %(first)s AND %(last)s AND stored.{segment} = ANY(%(segments)s)"
            " AND NOT ({condition}) RETURNING {key}::text AS key, {old}::text AS old, {new}::text AS new)"
            " SELECT count(*) OVER (), key, old, new FROM same WHERE old <> new LIMIT 1"
        ).format(
            stage=sql.Identifier(self.stage),
            table=sql.Identifier(self.table),
            time=sql.Identifier(self.time),
            segment=sql.Identifier(self.segment),
            key=_row(_NEW, self.key),
            stored_key=_row(_STORED, self.key),
            condition=condition,
            old=_row(_STORED, SOURCE),
            new=_row(_NEW, SOURCE),
        )
        return statement.as_bytes()

    @property
    def conflicts(self) -> sql.Composed:
        """Returns one row if another source wrote keys of staged rows: their count, an example, both its sources."""
        # The limit forces one look-up by key per staged row; a join might read the whole table.
        return sql.SQL(
            "SELECT count(*) OVER (), {key}::text, {old}::text, {new}::text FROM {stage} AS excluded, LATERAL ("
            "SELECT * FROM {table} AS rows WHERE {stored_key} = {key} LIMIT 1) AS stored WHERE {old} <> {new} LIMIT 1"
        ).format(
            key=_row(_NEW, self.key),
            stored_key=_row("rows", self.key),
            old=_row(_STORED, SOURCE),
            new=_row(_NEW, SOURCE),
            stage=sql.Identifier(self.stage),
            table=sql.Identifier(self.table),
        )


def targets(features: Sequence[str], *, overwrite: bool = False) -> tuple[Target, Target, Target]:
    """Bars, features and signals, in this order."""
    bar_values = _values(frames.BARS, frames.BAR_KEY)
    signal_values = _values(frames.SIGNALS, frames.SIGNAL_KEY)
    feature_values = tuple(features)
    bars = partial(Target, BARS, "bars_ohlcv", frames.BAR_KEY, bar_values, _types(Bar), time="window_start")
    features_ = partial(Target, FEATURES, "features", frames.FEATURE_KEY, feature_values, {"ts": "timestamptz"})
    signals = partial(Target, SIGNALS, "signals", frames.SIGNAL_KEY, signal_values, _types(Signal))
    if overwrite:
        return (
            bars(_replace(bar_values), "last"),
            features_(_replace(feature_values), "last"),
            signals(_replace(signal_values), "last"),
        )
    return (
        bars(_advance(bar_values), "last of source", exclusive=True),
        features_(_fill(feature_values), "filled of source"),
        signals(None, "first"),
    )


def message_target(kind: MessageType) -> Target:
    """The messages of a type: the same message is stored once, however often it comes."""
    types = {column.name: column.type for column in stored_columns(kind)} | {DEDUPE_KEY: "uuid"}
    segment = segment_of(kind)
    key = message_key(kind)
    values = tuple(name for name in types if name not in key)
    table = str(kind.table)
    return Target(table, table, key, values, types, None, "first", segment=segment, identity=DEDUPE_KEY)


def message_key(kind: MessageType) -> tuple[str, ...]:
    """What tells messages apart, which `dedupe_key` would do alone, so that rows of one symbol lie together in time."""
    return segment_of(kind), "ts", DEDUPE_KEY


def segment_of(kind: MessageType) -> str:
    """The column by which messages are looked up: the symbol, or the feed where there is none."""
    has_symbol = any(column.name == "symbol" and not column.nullable for column in stored_columns(kind))
    return "symbol" if has_symbol else "source_id"


def _types(struct: type[msgspec.Struct]) -> dict[str, str]:
    return {column.name: column.type for column in table_columns(struct)}


def _values(schema: pl.Schema, key: Sequence[str]) -> tuple[str, ...]:
    """The columns of a frame that its table has beside its key; what caused a row is stored under other names."""
    return tuple(name for name in schema if name not in (*key, *frames.CAUSE))


def _advance(values: Sequence[str]) -> Change:
    """A later bar of the same source replaces a stored one; a provisional bar has revision 0 and an earlier offset."""
    later = sql.SQL("{} = {} AND {} > {}").format(
        _row(_STORED, SOURCE), _row(_NEW, SOURCE), _row(_NEW, _BAR_ORDER), _row(_STORED, _BAR_ORDER)
    )
    return Change(_each(", ", "{0} = {new}.{0}", (*values, *CAUSE)), later)


def _fill(values: Sequence[str]) -> Change | None:
    """Stored values stay, as they were known at the time; nulls are filled, such as those of a feature added since."""
    if not values:
        return None
    fillable = _each(" OR ", "({stored}.{0} IS NULL AND {new}.{0} IS NOT NULL)", values)
    condition = sql.SQL("{} = {} AND ({})").format(_row(_STORED, SOURCE), _row(_NEW, SOURCE), fillable)
    return Change(_each(", ", "{0} = coalesce({stored}.{0}, {new}.{0})", values), condition)


def _replace(values: Sequence[str]) -> Change:
    columns = (*values, *CAUSE)
    differs = sql.SQL("{} IS DISTINCT FROM {}").format(_row(_STORED, columns), _row(_NEW, columns))
    return Change(_each(", ", "{0} = {new}.{0}", columns), differs)


def _each(separator: str, template: str, columns: Sequence[str]) -> sql.Composed:
    names = {"stored": sql.Identifier(_STORED), "new": sql.Identifier(_NEW)}
    parts = [sql.SQL(template).format(sql.Identifier(column), **names) for column in columns]
    return sql.SQL(separator).join(parts)


def _row(relation: str, columns: Sequence[str]) -> sql.Composed:
    return sql.SQL("ROW({})").format(sql.SQL(", ").join(sql.Identifier(relation, column) for column in columns))


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
