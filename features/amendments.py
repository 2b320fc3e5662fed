"""Closed bars that events have amended: the bar after each of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from features.accumulators import ORDER, Accumulators, BarIds, carried, joined, taken
from features.contributions import Contributions, one_each
from features.ordering import Ints

_RUNNING = {"first": pl.Expr.cum_min, "last": pl.Expr.cum_max, "high": pl.Expr.cum_max, "low": pl.Expr.cum_min}


def amendments(closed: Accumulators, events: Contributions) -> Accumulators:
    """The accumulator after each amending event, in the events' order, revision counted on.

    Running sums and extremes over the contributions of a bar, its closed state first: no step per event.
    """
    added = one_each(events)
    before = taken(closed, _opposite(closed, added))
    together = joined(before, added)
    first, last = (_Ranked(together[name]) for name in ("first", "last"))
    limbs = {f"{name} {limb}": together[name][:, limb] for name in ("volume", "turnover") for limb in range(3)}
    counts = {name: together[name] for name in ("trades", "revision")}
    steps = pl.DataFrame(
        {
            "bar": BarIds.of(together).keys(),
            "first": first.rank,
            "last": last.rank,
            **{name: np.ascontiguousarray(column) for name, column in (limbs | counts).items()},
            "high": np.ascontiguousarray(together["high"]),
            "low": np.ascontiguousarray(together["low"]),
        }
    )
    running = steps.select(
        *(step(pl.col(name)).over("bar") for name, step in _RUNNING.items()),
        *(pl.col(name).cum_sum().over("bar") for name in (*limbs, *counts)),
    )
    for end, price, ranked in (("first", "open", first), ("last", "close", last)):
        source = together[ranked.rows[running[end].to_numpy()]]
        together[end], together[price] = source[end], source[price]
    for name in ("high", "low", *counts):
        together[name] = running[name].to_numpy()
    for name in ("volume", "turnover"):
        together[name] = carried(np.stack([running[f"{name} {limb}"].to_numpy() for limb in range(3)], axis=1))
    return together[len(before) :]


def taken_over(closed: Accumulators, amended: Accumulators) -> Accumulators:
    """Closed bars, with the last state of each that has been amended."""
    kept = taken(closed, ~_opposite(closed, amended))
    _, last = np.unique(BarIds.of(amended).keys()[::-1], return_index=True)
    return joined(kept, taken(amended, len(amended) - 1 - last))


def _opposite(bars: Accumulators, others: Accumulators) -> npt.NDArray[np.bool_]:
    """Which bars have an accumulator among the others."""
    mine, theirs = np.split(BarIds.of(bars, others).keys(), [len(bars)])
    return np.isin(mine, theirs)


class _Ranked:
    """Places in order: the row of each rank, and the rank of each row."""

    def __init__(self, places: npt.NDArray[Any]) -> None:
        self.rows: Ints = np.lexsort([places[name] for name in reversed(ORDER.names or ())])
        self.rank = np.empty_like(self.rows)
        self.rank[self.rows] = np.arange(len(self.rows))
