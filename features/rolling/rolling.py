"""Rolling features: for each bar of a closing window, functions of its symbol's bars in the horizons before it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import astuple
from itertools import pairwise
from typing import Any, Final, TypedDict, get_args

import numpy as np
import polars as pl

from contracts import frames
from contracts.batch import FEATURES, MicroBatch
from features.rolling import formulas
from features.rolling.feature_config import FeatureConfig, Kind, check_features
from features.rolling.history import History, HistoryState, Memory, log
from features.rolling.ring import Bars, Bools, Fields, Floats, Ints
from native.jit import compiled

_AT_ONCE: Final = 10_000  # bars


class RollingState(TypedDict):
    """A snapshot; the arrays in it are copies."""

    window_ns: int
    memory: tuple[int, int, tuple[int, ...]]  # as Memory
    histories: dict[str, HistoryState]  # by provider


class RollingFeatures:
    """The features of all symbols of one Kafka partition.

    The output depends only on the rows of the log, not on how they are cut into frames. The cost per closed window does
    not grow with the number of events, and grows with the number of symbols only inside compiled loops.
    """

    def __init__(self, features: Sequence[FeatureConfig], window_ns: int, amend_ns: int) -> None:
        """Compute `features` on windows of `window_ns`, whose bars can change until the watermark is `amend_ns` past.

        Raises:
            ValueError: the features cannot be computed together on such windows.

        """
        check_features(features, window_ns)
        self._window_ns = window_ns
        self._memory = Memory.of(features, window_ns, amend_ns)
        # values have another order: functions of a series by horizon, then the RSIs
        series = sorted((one for one in features if one.kind != "rsi"), key=lambda one: one.bars(window_ns))
        rsis = [one for one in features if one.kind == "rsi"]
        self._wanted = formulas.Wanted(
            np.array([formulas.NUMBERS[one.kind] for one in series], np.int64),
            np.array([one.bars(window_ns) for one in series], np.int64),
        )
        self._rsis = [self._memory.periods.index(one.bars(window_ns)) for one in rsis]
        self._names = [one.name for one in (*series, *rsis)]
        self._columns = frames.features_schema(tuple(one.name for one in features)).names()
        self._histories: dict[str, History] = {}

    def step(self, batch: MicroBatch) -> MicroBatch:
        """Return the batch with the features of its bars."""
        if batch.bars.is_empty():
            return batch
        answer = self.provisional if batch.provisional else self.update
        return batch.having(FEATURES, answer(batch.bars))

    def update(self, bars: pl.DataFrame) -> pl.DataFrame:
        """Process `bars` (schema `frames.BARS`, in the order of the log); return the features of those of revision 0.

        The result has the schema `frames.features_schema(names)` and the order of `bars`. An amendment affects the
        closes after it. Undefined values are null.
        """
        values = self._values(bars) if self._names else np.empty((0, bars.height))
        closing = _closing(bars)
        if closing.all():
            return self._frame(bars, values)
        return self._frame(bars[np.flatnonzero(closing)], values[:, closing])

    def provisional(self, bars: pl.DataFrame) -> pl.DataFrame:
        """Return what `update` would; the state does not change."""
        kept, self._histories = self._histories, deepcopy(self._histories)  # restoring a snapshot would rebuild it
        try:
            return self.update(bars)
        finally:
            self._histories = kept

    def _values(self, bars: pl.DataFrame) -> Floats:
        """Features of the closes in `bars`, shape (features, bars), NaN for amendments.

        Part by part, since one batch may begin and end the history of more symbols than there are at any time.
        """
        if bars.height <= _AT_ONCE:
            return self._values_of_part(bars)
        return np.concatenate([self._values_of_part(part) for part in bars.iter_slices(_AT_ONCE)], axis=1)

    def _values_of_part(self, bars: pl.DataFrame) -> Floats:
        providers = bars["provider"]
        if providers.n_unique() == 1:  # as in most partitions
            return self._values_of(providers[0], bars)
        values = np.empty((len(self._names), bars.height))
        for provider in providers.unique(maintain_order=True):
            places = np.flatnonzero((providers == provider).to_numpy())
            values[:, places] = self._values_of(provider, bars[places])
        return values

    def _values_of(self, provider: str, rows: pl.DataFrame) -> Floats:
        """The same as `_values_of_part`, for bars of one provider."""
        slots = rows["window_end"].to_numpy() // self._window_ns
        if provider not in self._histories:
            self._histories[provider] = History(self._memory, int(slots[0]) - 1)
        history = self._histories[provider]
        bars, closing = _bars(rows, slots, history.rows(rows["symbol"])), _closing(rows)
        values = np.full((len(self._names), slots.size), np.nan)
        causes = _column(rows, "offset"), _column(rows, "row")
        starts = _starts(slots, closing, causes, history.ring.head, history.ring.spare)
        for start, stop in pairwise([*np.flatnonzero(starts).tolist(), slots.size]):
            run = bars.where(slice(start, stop))
            if not closing[start]:
                history.amend(run)
            elif history.is_reachable(int(slots[start])):  # not a close so late that its past has been dropped
                self._close(history, run, values[:, start:stop])
        history.forget_idle()
        return values

    def _close(self, history: History, bars: Bars, values: Floats) -> None:
        """Write the features of closing bars to `values`, shape (features, bars)."""
        rsis, ring, series = history.record(bars), history.ring, len(self._wanted.kinds)
        values[:series] = formulas.compute(self._wanted, ring.fields, bars.rows, bars.slots - ring.start)
        values[series:] = rsis[self._rsis]

    def _frame(self, bars: pl.DataFrame, values: Floats) -> pl.DataFrame:
        """Build a features frame from existing columns, at a fraction of a query's cost."""
        height = bars.height
        # all features in one series, each a slice of it
        defined = pl.Series(values.ravel(), nan_to_null=True)
        made = [defined.slice(i * height, height).alias(name) for i, name in enumerate(self._names)]
        return bars.hstack([*made, bars["window_end"].alias("ts")])[self._columns]

    def snapshot(self) -> RollingState:
        """Copy the state: picklable and independent of later steps."""
        histories = {provider: history.state() for provider, history in self._histories.items()}
        return RollingState(window_ns=self._window_ns, memory=astuple(self._memory), histories=histories)

    def restore(self, state: RollingState) -> None:
        """Continue from a snapshot.

        Raises:
            ValueError: it was taken with features or windows that need a different state.

        """
        if (state["window_ns"], state["memory"]) != (self._window_ns, astuple(self._memory)):
            raise ValueError("the saved state is for other features or windows; start from a new recovery store")
        self._histories = {name: History.of(self._memory, history) for name, history in state["histories"].items()}


def _bars(rows: pl.DataFrame, slots: Ints, places: Ints) -> Bars:
    close = _column(rows, "close")
    return Bars(slots, places, Fields(close, log(close), _column(rows, "vwap"), _column(rows, "volume")))


def _column(rows: pl.DataFrame, name: str) -> Any:
    # writable, like all arrays: Numba would compile everything once more for read-only ones
    return rows[name].to_numpy(writable=True)


def _closing(rows: pl.DataFrame) -> Bools:
    closing: Bools = rows["revision"].to_numpy() == 0
    return closing


@compiled
def _starts(slots: Ints, closing: Bools, causes: tuple[Ints, Ints], newest: int, spare: int) -> Bools:
    """The starts of runs of bars that can be recorded at once.

    A run is closes of one window, and of later windows within the `spare` capacity; or amendments of windows that are
    known after the first of them.
    """
    starts, first = np.ones(len(slots), np.bool_), slots[0]
    newest = max(newest, first)
    for bar in range(1, len(slots)):
        slot, before = slots[bar], slots[bar - 1]
        if not closing[bar]:
            starts[bar] = closing[bar - 1] or slot > newest
        elif closing[bar - 1]:
            same_cause = causes[0][bar] == causes[0][bar - 1] and causes[1][bar] == causes[1][bar - 1]
            goes_on = slot > before == newest and slot <= first + spare
            starts[bar] = not (goes_on or (slot == before and same_cause))
        if starts[bar]:
            first = slot
        newest = max(newest, slot)
    return starts


def _warm_up() -> None:
    """Loads the compiled code at import, rather than at the first use."""
    features = [FeatureConfig(name=f"{kind}_10s", kind=kind, horizon="10s") for kind in get_args(Kind)]
    nothing = dict.fromkeys(frames.BARS, 0) | {"provider": "", "symbol": "", "interval": ""}
    rows = [{**nothing, "window_end": end * 10**9} for end in (1, 100)]
    rolling = RollingFeatures(features, 10**9, 0)
    rolling.update(pl.DataFrame(rows, frames.BARS, orient="row"))
    rolling.restore(rolling.snapshot())


_warm_up()
