"""Polls the database once for all browsers, and only while there are any.

One small query of table `progress` shows whether anything was written. If so, the newest rows of the shown series are
read, and compared with what each browser has been sent. So an amended bar is found like a new one, and writers have
nothing to do. Writes without progress, such as a repair, are found a few seconds later.
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
_ROLLUP_BARS: Final = 5  # older ones change only by repairs
_LINE_BARS: Final = 40
_LOOK_SECONDS: Final = 0.25
_WHOLE_SECONDS: Final = 1.0  # between queries of all series
_UNPROMPTED_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 1.0
_METRICS_SECONDS: Final = 2.0
_ANSWER_SECONDS: Final = 20.0  # longer than the timeouts of a connection and a statement together

_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")


class Poller:
    """Polls the database and the workers, and updates the hub."""

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
            self._hub.send("run", self._run)
            await self._follow_database()

    def close(self) -> None:
        """Close the connection, after the event loop has ended and no thread uses it any more."""
        self._reader.close()

    async def _follow_database(self) -> None:
        while True:
            await self._await_browser()
            begin = time.monotonic()
            try:
                await self._look()
                self._hub.send("trouble", "")
                pause = _LOOK_SECONDS
            except StoreUnavailable as error:
                self._hub.send("trouble", printable(masked(f"The database cannot be used: {error}")))
                self._asked, pause = Asked(), _RETRY_SECONDS
            # At most a fifth of the database's time, however many browsers are open.
            await self._pause(max(pause, 4 * (time.monotonic() - begin)))

    async def _follow_workers(self) -> None:
        while True:
            if not self._hub.is_empty:
                self._hub.send("workers", await asyncio.to_thread(self._metrics.read))
            await asyncio.sleep(_METRICS_SECONDS)

    async def _await_browser(self) -> None:
        if self._hub.is_empty:
            await self._hub.joined.wait()
        if self._hub.joined.is_set():
            self._hub.joined.clear()
            self._asked = Asked()  # a new browser has no data yet, even if others show the same

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hub.joined.wait()

    async def _look(self) -> None:
        progress = await self._answer(self._reader.progress)
        self._hub.send("figures", self._counts.of(progress))
        now, position = time.monotonic(), {flow: one.position for flow, one in progress.items()}
        moved = position != self._position or now - self._looked_at > _UNPROMPTED_SECONDS
        if now >= self._whole_due:
            await self._poll_all_series()
        asked = self._hub.asked()
        if moved or asked != self._asked:
            self._hub.deliver(await self._answer(self._read, asked))
            self._position, self._asked, self._looked_at = position, asked, now

    async def _poll_all_series(self) -> None:
        """Query all series; the more it costs, the more rarely it runs."""
        begin = time.monotonic()
        self._hub.set_directory(await self._answer(self._read_directory))
        self._hub.send("span", self._market.span)
        self._hub.set_recent(await self._answer(self._reader.recent_signals, RECENT))
        self._whole_due = time.monotonic() + max(_WHOLE_SECONDS, 20 * (time.monotonic() - begin))

    async def _answer(self, ask: Callable[_Asked, _Answer], *arguments: _Asked.args, **named: _Asked.kwargs) -> _Answer:
        """Return the result of a query in a thread; the wait is bounded, as the database may hang."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await asyncio.to_thread(ask, *arguments, **named)
        except TimeoutError:
            self._reader.disconnect()
            raise StoreUnavailable("it does not answer") from None
        except asyncio.CancelledError:
            self._reader.disconnect()
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
