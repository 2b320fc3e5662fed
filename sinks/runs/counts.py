"""How much a run wrote: events, bars, features, and signals by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg import sql

from sinks.connection import session
from sinks.runs.span import Part

_BARS: Final = sql.SQL("SELECT count(*), coalesce(sum(trades), 0)::bigint FROM bars_ohlcv AS t WHERE {}")
_FEATURES: Final = sql.SQL("SELECT count(*) FROM features AS t WHERE {}")
_SIGNALS: Final = sql.SQL("SELECT name, count(*) FROM signals AS t WHERE {} GROUP BY name ORDER BY name")


@dataclass(frozen=True, slots=True)
class Counts:
    """Row counts, and the number of events in the bars; None for tables that the flow does not write."""

    events: int | None = None
    bars: int | None = None
    features: int | None = None
    signals: Mapping[str, int] | None = None

    @classmethod
    def of(cls, counts: Mapping[str, Any]) -> Counts:
        """The inverse of `known`."""
        return cls(**counts)

    @property
    def known(self) -> dict[str, Any]:
        """The counts of tables that the flow writes, for JSON."""
        all_of_them = {"events": self.events, "bars": self.bars, "features": self.features, "signals": self.signals}
        return {name: count for name, count in all_of_them.items() if count is not None}

    @property
    def is_empty(self) -> bool:
        """Whether there are no rows at all."""
        return not (self.bars or self.features or self.signals)

    def __str__(self) -> str:
        texts = [f"{count:,} {name}" for name, count in self.known.items() if name != "signals"]
        if self.signals is not None:
            names = ", ".join(f"{name} {count:,}" for name, count in self.signals.items())
            texts.append(f"{sum(self.signals.values()):,} signals" + (f" ({names})" if names else ""))
        return ", ".join(texts)


def counted(conninfo: str, tables: Sequence[str], part: Part, topic: str | None = None) -> Counts:
    """Counts the rows of these tables in `part`; with a topic, only rows caused by its records.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """

    def rows(table: str, query: sql.SQL) -> list[tuple[Any, ...]]:
        within = part.within(table, "t")
        if topic is not None:
            within = sql.SQL("{} AND t.source_topic = {}").format(within, topic)
        return connection.execute(query.format(within)).fetchall() if table in tables else []

    with session(conninfo, read_only=True, statement_timeout_ms=0) as connection:
        [(bars, events)] = rows("bars_ohlcv", _BARS) or [(None, None)]
        [(features,)] = rows("features", _FEATURES) or [(None,)]
        signals = dict(rows("signals", _SIGNALS)) if "signals" in tables else None
    return Counts(events, bars, features, signals)
