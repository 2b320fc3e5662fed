"""Detects when conditions turn true, from the state of each symbol's latest row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import polars as pl
from numpy.typing import NDArray

_Ints = NDArray[np.int64]
_Bools = NDArray[np.bool_]


class EdgesState(TypedDict):
    """The state of all subjects, in one order; its arrays are never mutated."""

    subjects: list[tuple[str, str]]  # provider and symbol
    ts: _Ints
    held: dict[str, _Bools]  # by condition


class Edges:
    """Whether each condition held at the latest row of each subject, a symbol of a provider.

    A subject without rows for `span_ns` is forgotten: when it returns, a condition that holds has just turned true.
    Arrays have a row per subject and are never mutated.
    """

    def __init__(self, conditions: Sequence[str], span_ns: int) -> None:
        self._conditions = list(conditions)
        self._span_ns = span_ns
        self._subjects: dict[tuple[str, str], int] = {}  # their numbers
        self._feeds: _Ints = np.zeros(0, np.int64)  # the number of each one's provider
        self._ts: _Ints = np.zeros(0, np.int64)
        self._held: _Bools = np.zeros((0, len(conditions)), np.bool_)

    def turned(self, rows: pl.DataFrame, holds: _Bools) -> _Bools:
        """Where a condition may have just turned true: it did not hold at the subject's previous row, if any.

        Args:
            rows: columns provider, symbol and ts, in order of arrival.
            holds: whether each condition holds at each row, shape (rows, conditions), like the result.

        """
        count = len(self._ts)
        subjects = np.concatenate([np.arange(count), self._numbers(rows)])  # remembered rows before the new ones
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
        """The number of each row's subject; new ones get the next number."""
        known = self._subjects
        keys = zip(rows["provider"].to_list(), rows["symbol"].to_list(), strict=True)
        numbers = np.array([known.setdefault(key, len(known)) for key in keys], np.int64)
        if len(known) > len(self._feeds):
            self._feeds = _feeds(known)
        return numbers

    def _forget_old(self) -> None:
        """Forget subjects whose latest row is too old to affect any later row of their provider."""
        newest = np.full(int(self._feeds.max(initial=-1)) + 1, np.iinfo(np.int64).min)
        np.maximum.at(newest, self._feeds, self._ts)
        recent = self._ts > newest[self._feeds] - self._span_ns
        if recent.all():
            return
        subjects = [subject for subject, is_recent in zip(self._subjects, recent, strict=True) if is_recent]
        self._subjects = {subject: number for number, subject in enumerate(subjects)}
        self._feeds, self._ts, self._held = self._feeds[recent], self._ts[recent], self._held[recent]

    def snapshot(self) -> EdgesState:
        """Return whether each condition held at the latest row of each subject."""
        held = {name: self._held[:, place] for place, name in enumerate(self._conditions)}
        return EdgesState(subjects=list(self._subjects), ts=self._ts, held=held)

    def restore(self, state: EdgesState) -> None:
        """Continue from a snapshot; a condition that it lacks starts as not having held."""
        self._subjects = {subject: number for number, subject in enumerate(state["subjects"])}
        self._feeds = _feeds(self._subjects)
        self._ts = state["ts"]
        self._held = np.zeros((len(self._ts), len(self._conditions)), np.bool_)
        for place, name in enumerate(self._conditions):
            if name in state["held"]:
                self._held[:, place] = state["held"][name]


def _feeds(subjects: dict[tuple[str, str], int]) -> _Ints:
    """Numbers for the providers of the subjects."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(provider, len(numbers)) for provider, _ in subjects], np.int64)
