"""Shows a run: on a terminal the live view, elsewhere a line every few seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.live import Live

from features.rolling.feature_config import FeatureConfig
from mdp.demo.observer import Snapshot
from mdp.demo.view import View

_LINE_SECONDS: Final = 3.0


class Screen:
    """The live view on the alternate screen; the terminal's former contents return at the end."""

    def __init__(self, console: Console, features: Sequence[FeatureConfig]) -> None:
        self._console = console
        self._features = features
        self._exits = ExitStack()
        self._live: Live | None = None
        self._printed = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = self._exits.enter_context(Live(console=self._console, screen=True, auto_refresh=False))
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._exits.close()

    def view(self, snapshot: Snapshot, title: str, remark: str) -> View:
        """The view of a snapshot."""
        return View(snapshot, self._features, title, remark)

    def show(self, view: View) -> None:
        """Show it now."""
        if self._live is not None:
            self._live.update(view, refresh=True)
        elif time.monotonic() - self._printed >= _LINE_SECONDS:
            self._printed = time.monotonic()
            self._console.print(_line(view.snapshot, view.title), soft_wrap=True)


def _line(snapshot: Snapshot, title: str) -> str:
    rows, delay = snapshot.rows, "" if snapshot.delay is None else f", watermark {snapshot.delay:.1f} s behind"
    return (
        f"{title}: {snapshot.rate:,.0f} events/s, {snapshot.sent.total:,} sent, {snapshot.outcomes.events:,} counted; "
        f"{rows.get('bars_ohlcv', 0):,} bars, {rows.get('signals', 0):,} signals{delay}"
    )
