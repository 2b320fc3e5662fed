"""A circuit breaker around an evaluator that may fail, so that bars and features continue without its signals.

Failures are counted in windows, and the cooldown is measured in event time: like all results, what it lets through is a
function of the log, regardless of the cut of batches.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol, TypedDict

import polars as pl

from inference.config import BreakerConfig
from inference.evaluator import EVALUATED, Evaluator, no_signals

_COLUMNS: Final = EVALUATED.names()
_DTYPES: Final = EVALUATED.dtypes()
_FAILURES: Final = (Exception, pl.exceptions.PanicException)  # panics of Polars are not subclasses of Exception
_PRESENT: Final = [name for name in _COLUMNS if name not in {"value", "score", "meta"}]


class Incidents(Protocol):
    """Receives the incidents of an evaluator."""

    def failed(self, adapter: str, error: BaseException) -> None:
        """It failed to evaluate a window, which gets no signals from it."""

    def skipped(self, adapter: str) -> None:
        """It was skipped for a window, which gets no signals from it."""

    def opened(self, adapter: str) -> None:
        """Its breaker has opened: it is skipped for a while."""

    def closed(self, adapter: str) -> None:
        """Its breaker has closed: it evaluates again."""

    def timer(self, adapter: str) -> Callable[[], AbstractContextManager[object]]:
        """Returns a factory of context managers, entered while it evaluates windows."""


class Unwatched:
    """Ignores all incidents."""

    def failed(self, adapter: str, error: BaseException) -> None: ...

    def skipped(self, adapter: str) -> None: ...

    def opened(self, adapter: str) -> None: ...

    def closed(self, adapter: str) -> None: ...

    def timer(self, adapter: str) -> Callable[[], AbstractContextManager[object]]:
        return nullcontext


class BreakerState(TypedDict):
    """The state that later results depend on.

    Attributes:
        failures: the number of windows that have failed in a row.
        open_until: event time in nanoseconds: windows that end before it are skipped; None while it is closed.
        evaluator: the evaluator's own state.
    """

    failures: int
    open_until: int | None
    evaluator: object


class Breaker:
    """An evaluator that never raises: after a number of failures in a row, the guarded one is skipped for a while."""

    def __init__(self, evaluator: Evaluator, config: BreakerConfig, incidents: Incidents) -> None:
        self._evaluator = evaluator
        self._config = config
        self._incidents = incidents
        self._failures = 0
        self._open_until: int | None = None

    @property
    def name(self) -> str:
        """The guarded adapter's name."""
        return self._evaluator.name

    def evaluate(self, features: pl.DataFrame) -> pl.DataFrame:
        """Make the signals of the windows that can be evaluated."""
        if not self._failures:
            before = self._evaluator.snapshot()
            try:
                return _conforming(self._evaluator.evaluate(features))
            except _FAILURES:  # one of the windows may be the cause: found below, one by one
                self._evaluator.restore(before)
        windows = features.partition_by("provider", "ts", maintain_order=True)
        return pl.concat([self._evaluated(window) for window in windows])

    def _evaluated(self, window: pl.DataFrame) -> pl.DataFrame:
        end = window["ts"][0]
        if self._open_until is not None and end < self._open_until:
            self._incidents.skipped(self.name)
            return no_signals()
        before = self._evaluator.snapshot()
        try:
            signals = _conforming(self._evaluator.evaluate(window))
        except _FAILURES as error:
            self._evaluator.restore(before)
            self._incidents.failed(self.name, error)
            self._fail(end)
            return no_signals()
        self._failures = 0
        self._open(None)
        return signals

    def _fail(self, end: int) -> None:
        self._failures += 1
        if self._failures >= self._config.failures:
            self._open(end + self._config.cooldown_ms * 1_000_000)

    def _open(self, until: int | None) -> None:
        was_open, self._open_until = self._open_until is not None, until
        if until is not None and not was_open:
            self._incidents.opened(self.name)
        elif until is None and was_open:
            self._incidents.closed(self.name)

    def snapshot(self) -> BreakerState:
        """Return the counts and the evaluator's state."""
        return BreakerState(failures=self._failures, open_until=self._open_until, evaluator=self._evaluator.snapshot())

    def restore(self, state: BreakerState) -> None:
        """Continue from a snapshot."""
        self._failures = state["failures"]
        self._open(state["open_until"])
        self._evaluator.restore(state["evaluator"])


def _conforming(signals: pl.DataFrame) -> pl.DataFrame:
    """Signals in the required columns and types, with values in all required columns."""
    if signals.columns != _COLUMNS or signals.dtypes != _DTYPES:
        signals = signals.select(_COLUMNS).cast(EVALUATED)
    if lacking := [name for name in _PRESENT if signals[name].null_count()]:
        raise ValueError(f"signals without {', '.join(lacking)}")
    return signals
