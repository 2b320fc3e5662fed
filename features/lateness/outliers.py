"""The symbols and providers with the most lateness, late events and duplicates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from features.bars.accumulators import BarIds
from features.lateness.log_histogram import middles
from native.ordering import Ints

_WIDE: Final = 10  # buckets of the whole distribution merged into one: 5 % is precise enough to compare symbols
_PENDING: Final = 200_000  # rows, before they are aggregated
LEAST_EVENTS: Final = 100  # a 99th percentile of fewer is meaningless
_REPEAT: Final = -1  # in place of a bucket: the lateness of duplicates is ignored

_COUNTS: Final = ("events", "late", "duplicate")
_NUMBERED: Final = ("feed", "symbol", "bucket")
_TALLY: Final = pl.Schema(
    {"provider": pl.String, "symbol": pl.String, "bucket": pl.Int64} | dict.fromkeys(_COUNTS, pl.UInt32)
)

_Bools = npt.NDArray[np.bool_]
Names = Callable[[Ints, Ints], tuple[pl.Series, pl.Series]]


class PartitionTally:
    """Counts of one partition by provider, symbol and lateness; memory grows with the symbols, not with the events."""

    def __init__(self) -> None:
        self._parts: list[pl.DataFrame] = []
        self._pending = 0

    def add(self, bar: BarIds, bucket: Ints, is_late: _Bools, is_repeat: _Bools) -> None:
        """Counts events by their bucket of lateness; `is_late` under the configured grace, `is_repeat` under any."""
        rows = {
            "feed": bar.feed,
            "symbol": bar.symbol,
            "bucket": np.where(is_repeat, _REPEAT, -(-bucket // _WIDE)),
            "late": is_late,
            "duplicate": is_repeat & ~is_late,
        }
        counted = (
            pl.DataFrame(rows).group_by(_NUMBERED).agg(pl.len().alias("events"), pl.col("late", "duplicate").sum())
        )
        self._parts.append(counted)
        self._pending += counted.height
        if self._pending > _PENDING:
            self._parts = [_summed(self._parts, _NUMBERED)]
            self._pending = 0

    def named(self, names: Names) -> pl.DataFrame:
        """All counts, by the names of providers and symbols."""
        if not self._parts:
            return _TALLY.to_frame()
        total = _summed(self._parts, _NUMBERED)
        provider, symbol = names(total["feed"].to_numpy(), total["symbol"].to_numpy())
        return total.with_columns(provider=provider, symbol=symbol).select(_TALLY.names())


@dataclass(frozen=True, slots=True)
class Outliers:
    """The worst, each a frame of provider, symbol (for symbols only), events and the figure.

    Attributes:
        lateness: with `p99_ns`.
        late, duplicate: with `share`.
    """

    lateness: pl.DataFrame
    late: pl.DataFrame
    duplicate: pl.DataFrame


def outliers(parts: list[pl.DataFrame], by: tuple[str, ...], most: int) -> Outliers:
    """The worst of those with LEAST_EVENTS or more, worst first, without those whose figure is 0."""
    tally = _summed([_TALLY.to_frame(), *parts], (*by, "bucket"))
    total = tally.group_by(by).agg(pl.col(_COUNTS).sum()).filter(pl.col("events") >= LEAST_EVENTS)

    def worst(of: pl.DataFrame, figure: str) -> pl.DataFrame:
        chosen = of.filter(pl.col(figure) > 0).sort(figure, *by, descending=[True] + [False] * len(by))
        return chosen.select(*by, "events", figure).head(most)

    shares = [
        worst(total.with_columns(share=pl.col(what) / pl.col("events")), "share") for what in ("late", "duplicate")
    ]
    return Outliers(worst(_p99(tally, by).join(total, on=by, how="inner"), "p99_ns"), *shares)


def _p99(tally: pl.DataFrame, by: tuple[str, ...]) -> pl.DataFrame:
    """The 99th percentile of the lateness of each."""
    new = tally.filter(pl.col("bucket") != _REPEAT).sort(*by, "bucket").select(*by, "bucket", count="events")
    so_far = pl.col("count").cum_sum().over(by)
    reached = new.filter(so_far >= 0.99 * pl.col("count").sum().over(by)).group_by(by).agg(pl.col("bucket").min())
    return reached.with_columns(p99_ns=pl.Series(middles(reached["bucket"].to_numpy(), wide=_WIDE)))


def _summed(parts: list[pl.DataFrame], by: tuple[str, ...]) -> pl.DataFrame:
    return pl.concat(parts).group_by(by).agg(pl.col(_COUNTS).sum())
