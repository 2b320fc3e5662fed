"""Rolling features: for each bar of a closing window, what its symbol's bars in the horizons before tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import polars as pl

from contracts import frames
from contracts.batch import MicroBatch
from features.feature_config import FeatureConfig, check_features
from features.history import Bars, History, HistoryState, Memory
from features.lookback import METHODS, Lookback
from features.ring import Floats, Ints


@dataclass(frozen=True, slots=True)
class RollingState:
    """A snapshot; the arrays in it are copies."""

    window_ns: int
    memory: Memory
    histories: dict[str, HistoryState]


class RollingFeatures:
    """The features of all symbols of one Kafka partition.

    What comes out depends on the rows of the log only, not on how they are cut into frames. Cost per closed window
    does not grow with the number of events, and grows with the symbols in it only inside NumPy.
    """

    def __init__(self, features: Sequence[FeatureConfig], window_ns: int, amend_ns: int) -> None:
        """Compute `features` on windows of `window_ns`, whose bars can change until the watermark is `amend_ns` on.

        Raises:
            ValueError: the features cannot be computed together on such windows.

        """
        check_features(features, window_ns)
        self._features = [(METHODS[feature.kind], feature.bars(window_ns)) for feature in features]
        self._names = tuple(feature.name for feature in features)
        self._window_ns = window_ns
        self._memory = Memory.of(features, window_ns, amend_ns)
        self._histories: dict[str, History] = {}

    def step(self, batch: MicroBatch) -> MicroBatch:
        """The batch with the features of its bars."""
        if batch.bars.is_empty():
            return batch
        answer = self.provisional if batch.provisional else self.update
        return replace(batch, features=answer(batch.bars))

    def update(self, bars: pl.DataFrame) -> pl.DataFrame:
        """Take in `bars` (schema `frames.BARS`, in the order of the log); the features of those of revision 0.

        The result has the schema `frames.features_schema(names)` and the order of `bars`. An amendment counts for the
        closes that come after it. Undefined values are null.
        """
        closing = (bars["revision"] == 0).to_numpy()
        values = np.full((len(self._features), bars.height), np.nan)
        if not self._features:
            return self._frame(bars.filter(closing), values[:, closing])
        with np.errstate(all="ignore"):  # undefined values are NaN until the end
            for (provider,), rows in bars.with_row_index("position").group_by("provider", maintain_order=True):
                self._update_provider(str(provider), rows, values)
        return self._frame(bars.filter(closing), values[:, closing])

    def provisional(self, bars: pl.DataFrame) -> pl.DataFrame:
        """Answer as `update` would; the state stays as it is."""
        state = self.snapshot()
        try:
            return self.update(bars)
        finally:
            self.restore(state)

    def _update_provider(self, provider: str, rows: pl.DataFrame, values: Floats) -> None:
        slots = rows["window_end"].to_numpy() // self._window_ns
        if provider not in self._histories:
            self._histories[provider] = History(self._memory, int(slots[0]) - 1)
        history = self._histories[provider]
        bars = _bars(rows, slots, history.columns(rows["symbol"]))
        positions, closing = rows["position"].to_numpy(), (rows["revision"] == 0).to_numpy()
        for start, stop in _runs(rows, slots):
            run = bars.where(slice(start, stop))
            if closing[start]:
                values[:, positions[start:stop]] = self._close(history, run)
            else:
                history.amend(run)
        history.forget_idle()

    def _close(self, history: History, bars: Bars) -> Floats:
        """Features of one window's bars, shape (features, bars)."""
        if not history.reachable(bars.slots).all():  # closed again, and so long after that its past is gone
            return np.full((len(self._features), bars.columns.size), np.nan)
        history.record(bars)
        lookback = Lookback(history, int(bars.slots[0]), bars.columns)
        shape = (len(self._features), bars.columns.size)
        rows = [method(lookback, horizon)[: bars.columns.size] for method, horizon in self._features]
        return np.reshape(rows, shape)

    def _frame(self, bars: pl.DataFrame, values: Floats) -> pl.DataFrame:
        finite = np.where(np.isfinite(values), values, np.nan)
        columns = [pl.Series(name, finite[i], nan_to_null=True) for i, name in enumerate(self._names)]
        made = bars.with_columns(pl.col("window_end").alias("ts"), *columns)
        return made.select(frames.features_schema(self._names).names())

    def snapshot(self) -> RollingState:
        """Copy the state: picklable and independent of what happens next."""
        histories = {provider: history.state() for provider, history in self._histories.items()}
        return RollingState(self._window_ns, self._memory, histories)

    def restore(self, state: RollingState) -> None:
        """Go on from a snapshot.

        Raises:
            ValueError: it was taken with features or windows that need another state.

        """
        if (state.window_ns, state.memory) != (self._window_ns, self._memory):
            raise ValueError("the saved state is of other features or windows; start from a new recovery store")
        self._histories = {name: History.of(self._memory, history) for name, history in state.histories.items()}


def _bars(rows: pl.DataFrame, slots: Ints, columns: Ints) -> Bars:
    volume: Floats = rows["volume"].to_numpy()
    traded = volume > 0.0
    turnover = np.where(traded, rows["vwap"].to_numpy() * volume, 0.0)
    return Bars(slots, columns, rows["close"].to_numpy(), turnover, np.where(traded, volume, 0.0))


def _runs(rows: pl.DataFrame, slots: Ints) -> list[tuple[int, int]]:
    """Where the closes of one window, or the amendments between two closes, begin and end."""
    closing = (rows["revision"] == 0).to_numpy()
    cause = np.stack([slots, rows["offset"].to_numpy(), rows["row"].to_numpy()])
    other_close = (cause[:, 1:] != cause[:, :-1]).any(axis=0) & closing[1:]
    starts = np.flatnonzero(other_close | (closing[1:] != closing[:-1])) + 1
    edges = [0, *starts.tolist(), slots.size]
    return list(pairwise(edges))
