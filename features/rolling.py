"""Rolling features: for each bar of a closing window, what its symbol's bars in the horizons before tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import polars as pl

from contracts import frames
from contracts.batch import MicroBatch
from features.feature_config import FeatureConfig, check_features
from features.history import Bars, History, HistoryState, Memory
from features.lookback import Lookback
from features.ring import Bools, Floats, Ints


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
        self._features = [(feature.kind, feature.bars(window_ns)) for feature in features]
        self._names = tuple(feature.name for feature in features)
        self._columns = frames.features_schema(self._names).names()
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
        values = np.full((len(self._features), bars.height), np.nan)
        if self._features:
            with np.errstate(all="ignore"):  # undefined values are NaN until the end
                for provider, places in _by_provider(bars["provider"]):
                    rows = bars if places.size == bars.height else bars[places]
                    values[:, places] = self._update_provider(provider, rows)
        closing = _closing(bars)
        if closing.all():
            return self._frame(bars, values)
        return self._frame(bars[np.flatnonzero(closing)], values[:, closing])

    def provisional(self, bars: pl.DataFrame) -> pl.DataFrame:
        """Answer as `update` would; the state stays as it is."""
        kept, self._histories = self._histories, deepcopy(self._histories)  # a snapshot would have to be rebuilt
        try:
            return self.update(bars)
        finally:
            self._histories = kept

    def _update_provider(self, provider: str, rows: pl.DataFrame) -> Floats:
        """Features of the closes among the bars of one provider, shape (features, bars), NaN for amendments."""
        slots = rows["window_end"].to_numpy() // self._window_ns
        if provider not in self._histories:
            self._histories[provider] = History(self._memory, int(slots[0]) - 1)
        history = self._histories[provider]
        bars = _bars(rows, slots, history.columns(rows["symbol"]))
        values = np.full((len(self._features), slots.size), np.nan)
        closing = _closing(rows)
        for start, stop in _runs(rows, slots, closing):
            run = bars.where(slice(start, stop))
            if closing[start]:
                values[:, start:stop] = self._close(history, run)
            else:
                history.amend(run)
        history.forget_idle()
        return values

    def _close(self, history: History, bars: Bars) -> Floats:
        """Features of one window's bars, shape (features, bars)."""
        if not history.is_reachable(int(bars.slots[0])):  # closed again so late that its past is gone
            return np.full((len(self._features), bars.columns.size), np.nan)
        history.record(bars)
        return Lookback(history, int(bars.slots[0]), bars.columns).features(self._features)

    def _frame(self, bars: pl.DataFrame, values: Floats) -> pl.DataFrame:
        """Put a features frame together from columns that are there, which costs a fraction of a query."""
        height = bars.height
        # all features in one series, and each of them a slice of it
        finite = pl.Series(np.where(np.isfinite(values), values, np.nan).ravel(), nan_to_null=True)
        made = {name: finite.slice(i * height, height).alias(name) for i, name in enumerate(self._names)}
        taken = {column.name: column for column in bars}
        columns = {**taken, **made, "ts": taken["window_end"].alias("ts")}
        return pl.DataFrame([columns[name] for name in self._columns])

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


def _closing(rows: pl.DataFrame) -> Bools:
    closing: Bools = rows["revision"].to_numpy() == 0
    return closing


def _by_provider(providers: pl.Series) -> Iterator[tuple[str, Ints]]:
    """Each provider, and where its bars are."""
    if providers.n_unique() == 1:  # as in most partitions
        yield providers[0], np.arange(len(providers))
        return
    for provider in providers.unique(maintain_order=True):
        yield provider, np.flatnonzero((providers == provider).to_numpy())


def _runs(rows: pl.DataFrame, slots: Ints, closing: Bools) -> list[tuple[int, int]]:
    """Where the closes of one window, or the amendments between two closes, begin and end."""
    other_cause = np.zeros(slots.size - 1, np.bool_)
    for cause in (slots, rows["offset"].to_numpy(), rows["row"].to_numpy()):
        other_cause |= cause[1:] != cause[:-1]
    starts = np.flatnonzero((other_cause & closing[1:]) | (closing[1:] != closing[:-1])) + 1
    edges = [0, *starts.tolist(), slots.size]
    return list(pairwise(edges))
