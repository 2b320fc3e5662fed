"""A range of event times."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class Span:
    """Event times with start ≤ src_ts < end, in nanoseconds."""

    start: int
    end: int

    def holds(self, column: str = "src_ts") -> pl.Expr:
        return pl.col(column).is_between(self.start, self.end, closed="left").fill_null(value=False)
