"""A selection of rows of a table, or of a rollup of the bars."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import sql

from sinks.schema.tables import TIME_COLUMN

_SERIES: Final = sql.SQL("""(
    SELECT provider, symbol, "interval" FROM series WHERE relation = %(base)s
        AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
        AND (%(provider)s::text IS NULL OR provider = %(provider)s)
        AND (%(interval)s::text IS NULL OR "interval" = %(interval)s)
) AS series""")


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
        return self.base.partition("_")[0]

    @property
    def series(self) -> sql.SQL:
        """A FROM item with the selected series, named `series`; it needs `parameters`."""
        return _SERIES

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of `series` and of the time range."""
        chosen = {"symbol": self.symbol, "provider": self.provider, "interval": self.interval}
        return {"base": self.base, **chosen, "start": self.start, "end": self.end}
