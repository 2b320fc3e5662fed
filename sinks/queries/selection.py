"""Which rows of a table, or of a rollup of the bars, to read back."""

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
    """Rows with start ≤ time < end; what is None leaves all in.

    Attributes:
        table: a table of results, or the view of a rollup.
        interval: of the bars, also of those that a rollup is made of.
        start: aware, as is end.
    """

    table: str
    symbol: str | None = None
    provider: str | None = None
    interval: str | None = None
    start: datetime | None = None
    end: datetime | None = None

    @property
    def time(self) -> str:
        """The column that it goes by."""
        return TIME_COLUMN.get(self.table, "bucket")

    @property
    def base(self) -> str:
        """The table whose rows they are, or are made of."""
        return self.table if self.table in TIME_COLUMN else "bars_ohlcv"

    @property
    def what(self) -> str:
        """What its rows are called."""
        return self.base.partition("_")[0]

    @property
    def series(self) -> sql.SQL:
        """What FROM takes: the series that are meant, as `series`; it needs `parameters`."""
        return _SERIES

    @property
    def parameters(self) -> dict[str, Any]:
        """Of `series`, and of the span."""
        chosen = {"symbol": self.symbol, "provider": self.provider, "interval": self.interval}
        return {"base": self.base, **chosen, "start": self.start, "end": self.end}
