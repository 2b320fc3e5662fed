"""Selections of rows: of a table of results, of a rollup of the bars, of a table of messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import polars as pl
import psycopg
from psycopg import sql

from contracts.envelope import DEDUPE_KEY, stored_columns
from contracts.message import MessageType
from sinks.merge import CAUSE, SERIES, message_key
from sinks.schema.tables import TIME_COLUMN

_SERIES: Final = sql.SQL("""(
    SELECT provider, symbol, "interval" FROM series WHERE relation = %(base)s
        AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
        AND (%(provider)s::text IS NULL OR provider = %(provider)s)
        AND (%(interval)s::text IS NULL OR "interval" = %(interval)s)
) AS series""")


class Rows(Protocol):
    """Rows with start ≤ time < end that are read as a stream."""

    @property
    def table(self) -> str: ...

    @property
    def start(self) -> datetime | None: ...

    @property
    def end(self) -> datetime | None: ...

    @property
    def time(self) -> str: ...

    @property
    def base(self) -> str: ...

    @property
    def order(self) -> tuple[str, ...]: ...

    @property
    def lists(self) -> dict[str, pl.DataType]:
        """The columns that hold lists, with their types in frames."""

    @property
    def hidden(self) -> tuple[str, ...]:
        """The columns that are not read."""

    def conditions(self, connection: psycopg.Connection) -> list[sql.Composable]:
        """What rows have to be besides in time."""


@dataclass(frozen=True)
class Selection:
    """Rows with start ≤ time < end; None does not restrict.

    Attributes:
        table: a table of results, or the view of a rollup.
        interval: of the bars; for a rollup, of the bars that it aggregates.
        start: an aware datetime, as is end.
    """

    table: str
    symbol: str | None = None
    provider: str | None = None
    interval: str | None = None
    start: datetime | None = None
    end: datetime | None = None

    @property
    def time(self) -> str:
        """The time column."""
        return TIME_COLUMN.get(self.table, "bucket")

    @property
    def base(self) -> str:
        """The table that holds the rows, or the bars that a rollup aggregates."""
        return self.table if self.table in TIME_COLUMN else "bars_ohlcv"

    @property
    def what(self) -> str:
        """The plural noun for its rows."""
        return command_of(self.base)

    @property
    def series(self) -> sql.SQL:
        """A FROM item with the selected series, named `series`; it needs `parameters`."""
        return _SERIES

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of `series` and of the time range."""
        chosen = {"symbol": self.symbol, "provider": self.provider, "interval": self.interval}
        return {"base": self.base, **chosen, "start": self.start, "end": self.end}

    @property
    def order(self) -> tuple[str, ...]:
        """The columns by which a stream is sorted."""
        return (*SERIES, self.time, *(("name", "adapter") if self.table == "signals" else ()))

    @property
    def lists(self) -> dict[str, pl.DataType]:
        """None of its columns."""
        return {}

    @property
    def hidden(self) -> tuple[str, ...]:
        """None of its columns."""
        return ()

    def conditions(self, connection: psycopg.Connection) -> list[sql.Composable]:
        """Look-ups by series where a symbol is selected, else comparisons."""
        if self.symbol is None:
            return list(_equal(provider=self.provider, interval=self.interval))
        found = connection.execute(sql.SQL("SELECT * FROM {}").format(self.series), self.parameters).fetchall()
        keys: list[sql.Composable] = [
            sql.SQL('(provider = {} AND symbol = {} AND "interval" = {})').format(*key) for key in found
        ]
        return [sql.SQL("({})").format(sql.SQL(" OR ").join(keys or [sql.SQL("false")]))]


@dataclass(frozen=True)
class MessageSelection:
    """Messages of a type with start ≤ event time < end; None does not restrict.

    Attributes:
        symbol: a message may be about several, such as news about its tickers.
        provider: their source_id.
    """

    kind: MessageType
    symbol: str | None = None
    provider: str | None = None
    start: datetime | None = None
    end: datetime | None = None

    @property
    def table(self) -> str:
        return str(self.kind.table)

    @property
    def time(self) -> str:
        return "ts"

    @property
    def base(self) -> str:
        return self.table

    @property
    def what(self) -> str:
        """The noun for its rows."""
        return command_of(self.table)

    @property
    def order(self) -> tuple[str, ...]:
        return message_key(self.kind)

    @property
    def lists(self) -> dict[str, pl.DataType]:
        return {
            column.name: _listed(column.dtype) for column in stored_columns(self.kind) if column.type.endswith("[]")
        }

    @property
    def hidden(self) -> tuple[str, ...]:
        return (DEDUPE_KEY,)

    @property
    def columns(self) -> list[sql.Composable]:
        """What to select for people: lists as JSON."""
        lists = self.lists
        names = [*(column.name for column in stored_columns(self.kind)), *CAUSE]
        return [
            sql.SQL("to_json({0})::text AS {0}" if name in lists else "{}").format(sql.Identifier(name))
            for name in names
        ]

    def conditions(self, _: psycopg.Connection | None = None) -> list[sql.Composable]:
        found = list(_equal(source_id=self.provider))
        return found if self.symbol is None else [self._about(self.symbol), *found]

    def _about(self, symbol: str) -> sql.Composable:
        """Messages about a symbol, by whichever column names it."""
        types = {column.name: column.type for column in stored_columns(self.kind)}
        for name in ("symbol", "ticker", "tickers"):
            if name in types:
                form = "{} = ANY({})" if types[name].endswith("[]") else "{} = {}"
                return sql.SQL(form).format(sql.Literal(symbol), sql.Identifier(name))
        return sql.SQL("false")


def _listed(dtype: pl.DataType) -> pl.DataType:
    """The type with lists for arrays, which cannot be parsed."""
    match dtype:
        case pl.List() | pl.Array():
            return pl.List(_listed(dtype.inner))  # type: ignore[arg-type]
        case _:
            return dtype


def command_of(table: str) -> str:
    """What the rows of a table are called in commands: `gex` are those of `gex_levels`."""
    return table.partition("_")[0]


def _equal(**values: str | None) -> Iterator[sql.Composable]:
    for name, value in values.items():
        if value is not None:
            yield sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value))
