"""Looks at the database for all browsers together, and only while there are any.

Table `progress` tells with one small query whether anything was written. If so, the newest rows of the series that
somebody looks at are read, and compared with what each browser was told. So an amended bar is found like a new one, and
nothing is asked of those who write. What writes without progress, such as a repair, is found a few seconds later.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

from flows.secrets import masked
from flows.settings import Settings
from flows.spec import FLOWS
from mdp.serve.client import RECENT
from mdp.serve.directory import Directory
from mdp.serve.figures import Counts, WorkerMetrics
from mdp.serve.hub import Asked, Hub, Look
from mdp.serve.market import Market
from sinks.connection import StoreUnavailable
from sinks.queries.charts import Chart, ChartReader, ChartRows
from sinks.queries.live import LiveReader
from sinks.queries.market import MarketReader
from telemetry.printable import printable

CHART_BARS: Final = 300
_ROLLUP_BARS: Final = 5  # before these, nothing but a repair changes
_LINE_BARS: Final = 40
_LOOK_SECONDS: Final = 0.25
_WHOLE_SECONDS: Final = 1.0  # between looks at all series there are
_UNPROMPTED_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 1.0
_METRICS_SECONDS: Final = 2.0
_ANSWER_SECONDS: Final = 20.0  # longer than connecting and a statement may take

_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")


class Poller:
    """The one who looks."""

    def __init__(self, settings: Settings, hub: Hub) -> None:
        self._hub = hub
        self._reader = LiveReader(settings.results_url)
        self._charts = ChartReader(self._reader)
        self._market = Market(MarketReader(self._reader))
        self._metrics = WorkerMetrics.of(settings)
        self._counts = Counts([flow.id(settings) for flow in FLOWS.values() if flow.closes_windows])
        self._position: Any = None
        self._run = settings.run.name
        self._asked = Asked()
        self._looked_at = self._whole_due = 0.0

    async def run(self) -> None:
        """Look for ever. Workers have nothing to do with the tables of a run."""
        if self._run is None:
            await asyncio.gather(self._follow_database(), self._follow_workers())
        else:
            self._hub.tell("run", self._run)
            await self._follow_database()

    def close(self) -> None:
        """Let go of the connection, once the event loop has ended and no thread uses it any more."""
        self._reader.close()

    async def _follow_database(self) -> None:
        while True:
            await self._await_browser()
            begin = time.monotonic()
            try:
                await self._look()
                self._hub.tell("trouble", "")
                pause = _LOOK_SECONDS
            except StoreUnavailable as error:
                self._hub.tell("trouble", printable(masked(f"The database cannot be used: {error}")))
                self._asked, pause = Asked(), _RETRY_SECONDS
            # A fifth of a database's time is enough, however many look.
            await self._pause(max(pause, 4 * (time.monotonic() - begin)))

    async def _follow_workers(self) -> None:
        while True:
            if not self._hub.is_empty:
                self._hub.tell("workers", await asyncio.to_thread(self._metrics.read))
            await asyncio.sleep(_METRICS_SECONDS)

    async def _await_browser(self) -> None:
        if self._hub.is_empty:
            await self._hub.joined.wait()
        if self._hub.joined.is_set():
            self._hub.joined.clear()
            self._asked = Asked()  # whoever has come knows nothing yet, even if others look at the same

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hub.joined.wait(), seconds)

    async def _look(self) -> None:
        progress = await self._answer(self._reader.progress)
        self._hub.tell("figures", self._counts.of(progress))
        now, position = time.monotonic(), {flow: one.position for flow, one in progress.items()}
        moved = position != self._position or now - self._looked_at > _UNPROMPTED_SECONDS
        if now >= self._whole_due:
            await self._look_at_all()
        asked = self._hub.asked()
        if moved or asked != self._asked:
            self._hub.deliver(await self._answer(self._read, asked))
            self._position, self._asked, self._looked_at = position, asked, now

    async def _look_at_all(self) -> None:
        """What costs the more the more series there are is done the more seldom."""
        begin = time.monotonic()
        self._hub.set_directory(await self._answer(self._read_directory))
        self._hub.tell("span", self._market.span)
        self._hub.set_recent(await self._answer(self._reader.recent_signals, RECENT))
        self._whole_due = time.monotonic() + max(_WHOLE_SECONDS, 20 * (time.monotonic() - begin))

    async def _answer(self, ask: Callable[_Asked, _Answer], *arguments: _Asked.args, **named: _Asked.kwargs) -> _Answer:
        """What a thread has asked the database, which may hang: nobody waits longer than for its own time limits."""
        try:
            return await asyncio.wait_for(asyncio.to_thread(ask, *arguments, **named), _ANSWER_SECONDS)
        except TimeoutError:
            self._reader.hang_up()
            raise StoreUnavailable("it does not answer") from None
        except asyncio.CancelledError:
            self._reader.hang_up()
            raise

    def _read_directory(self) -> Directory:
        series = self._reader.series()
        self._market.read(series)
        return Directory(series, self._market.quotes, self._reader.feature_names())

    def _read(self, asked: Asked) -> Look:
        listed = self._reader.bars(asked.listed, _LINE_BARS)
        lines = {one: [bar.close for bar in rows] for one, rows in listed.items()}
        return Look({chart: self._read_chart(chart) for chart in asked.charts}, lines)

    def _read_chart(self, chart: Chart) -> ChartRows:
        return self._charts.read(chart, _ROLLUP_BARS if chart.rollup else CHART_BARS)
