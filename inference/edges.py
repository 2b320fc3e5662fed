"""When conditions turn true: what is remembered of each symbol's latest row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

_KEY: Final = {"provider": pl.String, "symbol": pl.String, "ts": pl.Int64}

_Ints = NDArray[np.int64]
_Bools = NDArray[np.bool_]


class Edges:
    """Whether each condition held at the latest row of each subject, which is a symbol of a provider.

    A subject that stays away for `span_ns` is forgotten: when it comes back, a condition that holds has just turned
    true. Arrays, which are never written to once they are made, have a row per subject.
    """

    def __init__(self, conditions: Sequence[str], span_ns: int) -> None:
        self._conditions = list(conditions)
        self._span_ns = span_ns
        self._schema = pl.Schema({**_KEY, **dict.fromkeys(conditions, pl.Boolean)})
        self._subjects: dict[tuple[str, str], int] = {}  # their numbers
        self._feeds: _Ints = np.zeros(0, np.int64)  # the number of each one's provider
        self._ts: _Ints = np.zeros(0, np.int64)
        self._held: _Bools = np.zeros((0, len(conditions)), np.bool_)

    def turned(self, rows: pl.DataFrame, holds: _Bools) -> _Bools:
        """Where a condition may have just turned true: it did not hold at the subject's row before, if there is one.

        Args:
            rows: columns provider, symbol and ts, in the order in which they came.
            holds: what holds at them, shape (rows, conditions), as the result.

        """
        count = len(self._ts)
        subjects = np.concatenate([np.arange(count), self._numbers(rows)])  # what is remembered goes before the rows
        ts = np.concatenate([self._ts, rows["ts"].to_numpy()])
        held = np.concatenate([self._held, holds])
        order = np.argsort(subjects, kind="stable")
        is_same = np.diff(subjects[order]) == 0
        before = np.full(len(order), -1)
        before[order[1:]] = np.where(is_same, order[:-1], -1)
        remembered = (before >= 0) & (ts - ts[before] < self._span_ns)
        latest = order[np.append(~is_same, [True])]  # in the order of the subjects' numbers
        self._ts, self._held = ts[latest], held[latest]
        self._forget_old()
        turned: _Bools = ~(held[before] & remembered[:, np.newaxis])
        return turned[count:]

    def _numbers(self, rows: pl.DataFrame) -> _Ints:
        """The number of each row's subject; new ones get the next."""
        known = self._subjects
        keys = zip(rows["provider"].to_list(), rows["symbol"].to_list(), strict=True)
        numbers = np.array([known.setdefault(key, len(known)) for key in keys], np.int64)
        if len(known) > len(self._feeds):
            self._feeds = _feeds(known)
        return numbers

    def _forget_old(self) -> None:
        """Forget subjects whose latest row is too old to matter to any later row of their provider."""
        newest = np.full(int(self._feeds.max(initial=-1)) + 1, np.iinfo(np.int64).min)
        np.maximum.at(newest, self._feeds, self._ts)
        recent = self._ts > newest[self._feeds] - self._span_ns
        if recent.all():
            return
        subjects = [subject for subject, is_recent in zip(self._subjects, recent, strict=True) if is_recent]
        self._subjects = {subject: number for number, subject in enumerate(subjects)}
        self._feeds, self._ts, self._held = self._feeds[recent], self._ts[recent], self._held[recent]

    def snapshot(self) -> pl.DataFrame:
        """Tell whether each condition held at the latest row of each subject."""
        subjects = pl.DataFrame(list(self._subjects), schema=["provider", "symbol"], orient="row")
        held = [pl.Series(name, self._held[:, place]) for place, name in enumerate(self._conditions)]
        return subjects.with_columns(pl.Series("ts", self._ts), *held).cast(self._schema)

    def restore(self, state: pl.DataFrame) -> None:
        """Go on from a snapshot; a condition that it does not know starts as not having held."""
        subjects = zip(state["provider"], state["symbol"], strict=True)
        self._subjects = {subject: number for number, subject in enumerate(subjects)}
        self._feeds = _feeds(self._subjects)
        self._ts = state["ts"].to_numpy()
        self._held = np.zeros((state.height, len(self._conditions)), np.bool_)
        for place, name in enumerate(self._conditions):
            if name in state.columns:
                self._held[:, place] = state[name].to_numpy()


def _feeds(subjects: dict[tuple[str, str], int]) -> _Ints:
    """Numbers for the providers of the subjects."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(provider, len(numbers)) for provider, _ in subjects], np.int64)
