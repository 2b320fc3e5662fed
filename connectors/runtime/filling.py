"""Gaps in what a connector takes in: each is recorded, and filled from what its source sends of the past.

While a hole is being filled, the position stays before it: a connector that is killed meanwhile finds it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from contextvars import ContextVar
from typing import Final

from codec.refused import one_line
from connectors.connector import Connector, Disconnected, Span, raw_of
from connectors.runtime.control import ControlSender
from connectors.runtime.coverage import Coverage
from connectors.runtime.gaps import Hole, Tracker, marks_of
from connectors.runtime.intake import Taken
from connectors.runtime.positions import EVERY_SECONDS, PositionWriter
from connectors.runtime.sink import Delivery
from contracts.errors import MdpError
from contracts.message_ids import message_id
from contracts.payloads.gap import GAP_V1
from contracts.schema_names import name_of
from contracts.timestamps import format_timestamp
from normalize.envelopes import Accepted
from normalize.keys import SYMBOL
from telemetry.metrics import CONNECTOR_GAPS, CONNECTOR_GAPS_FILLED, CONNECTOR_GAPS_OPEN

Publish = Callable[[Taken], Awaitable[Delivery]]

_DISORDER_SECONDS: Final = 0.5  # what comes out of order leaves no gap
_SILENT_SECONDS: Final = 5.0
_SOON_SECONDS: Final = 0.05  # until Kafka has acknowledged the first message of a series
_TRIES_SECONDS: Final = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0)  # what a source sends of the past may be behind the present

_filling: ContextVar[Coverage | None] = ContextVar("filling", default=None)


class GapFiller:
    """Follows the messages of a connector, and sees to the holes in them.

    Args:
        connector: has the past.
        tracker: finds the holes.
        gaps: sends records of gaps.
        positions: writes the positions.
    """

    def __init__(self, connector: Connector, tracker: Tracker, gaps: ControlSender, positions: PositionWriter) -> None:
        self._connector, self._tracker = connector, tracker
        self._gaps, self._positions = gaps, positions
        self._id: Final = connector.request.manifest.connector_id
        self._publish: Publish | None = None
        self._found: asyncio.Queue[Hole] = asyncio.Queue()
        self._first_ns: int | None = None  # when the present connection brought its first message
        self._is_new = asyncio.Event()  # a series without a position

    def publish_by(self, publish: Publish) -> None:
        """Says by what to publish what fills a hole; whoever publishes has this filler as its observer."""
        self._publish = publish

    def note(self, messages: Accepted, delivery: Delivery) -> None:
        """Notes messages that were handed over, in the order of the source, or to fill a hole."""
        if SYMBOL not in messages.kind.struct.__struct_fields__:
            return  # such as news, which are in no order by which a missing one could be told
        self._positions.note(delivery)
        coverage = _filling.get()
        for series, mark in marks_of(messages):
            if coverage is not None:
                coverage.add(series, mark)
                continue
            if not self._tracker.knows(series):
                self._is_new.set()
            if (hole := self._tracker.see(series, mark)) is not None:
                self._open(hole)
        if coverage is None and self._first_ns is None:
            self._first_ns = time.time_ns()

    def connected(self) -> None:
        """Notes that what comes from now on is of another connection."""
        self._tracker.disconnected()
        self._first_ns = None

    async def run(self) -> None:
        """Fills holes and writes positions, until it is cancelled.

        Raises:
            MdpError: Kafka takes nothing any more.
        """
        tasks = [asyncio.create_task(one) for one in (self._fill_all(), self._look_regularly())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for failure in ended:
            if isinstance(failure, Exception):
                raise failure

    async def end(self) -> None:
        """Writes the last positions, of what is in Kafka by now.

        Raises:
            MdpError: Kafka takes nothing any more.
        """
        for delivery in await self._positions.write():
            await delivery.acknowledged()

    async def _look_regularly(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_SECONDS):
                    await self._is_new.wait()
            await asyncio.sleep(_SOON_SECONDS)
            self._is_new.clear()
            await self._positions.write()
            now_ns = time.time_ns()
            if self._first_ns is not None and now_ns - self._first_ns > _SILENT_SECONDS * 1e9:
                for hole in self._tracker.silent(now_ns):
                    if self._connector.has_history(hole.series.stream):
                        self._open(hole)
                    else:
                        self._tracker.close(hole)  # the next message opens it again

    def _open(self, hole: Hole) -> None:
        self._found.put_nowait(hole)
        CONNECTOR_GAPS_OPEN.labels(self._id).set(self._tracker.open_holes)

    async def _fill_all(self) -> None:
        while True:
            hole = await self._found.get()
            await asyncio.sleep(_DISORDER_SECONDS)
            if hole.is_complete:
                self._tracker.close(hole)
            else:
                await self._fill(hole)
            CONNECTOR_GAPS_OPEN.labels(self._id).set(self._tracker.open_holes)

    async def _fill(self, hole: Hole) -> None:
        stream = hole.series.stream
        CONNECTOR_GAPS.labels(self._id, stream, hole.reason).inc()
        if not self._connector.has_history(stream):
            await self._record(hole, f"{self._connector.source_id} sends no {stream} of the past")
            self._tracker.close(hole)
            return
        await self._record(hole, None, filled=False)
        coverage, flaw = await self._tried(hole)
        await self._record(hole, flaw, filled=flaw is None)
        if flaw is None:
            CONNECTOR_GAPS_FILLED.labels(self._id, stream).inc()
        self._tracker.close(hole, coverage.newest if flaw is None else None)

    async def _tried(self, hole: Hole) -> tuple[Coverage, str | None]:
        """What was got in the last attempt, and why the hole is not filled."""
        coverage, flaw = Coverage(hole), None
        for delay in _TRIES_SECONDS:
            await asyncio.sleep(delay)
            coverage = Coverage(hole)
            try:
                await self._get(hole, coverage)
                flaw = None if hole.is_complete else coverage.flaw
            except (Disconnected, OSError) as error:
                flaw = one_line(error)
            except MdpError as error:
                return coverage, one_line(error)
            if flaw is None or not coverage.may_come:
                break
        return coverage, flaw

    async def _get(self, hole: Hole, coverage: Coverage) -> None:
        """Publishes what the source sends again of the span of the hole, the messages on its sides too."""
        assert self._publish is not None
        span, delivery = Span(hole.before.time_ns, hole.end_ns + 1), None
        token = _filling.set(coverage)
        try:
            async with aclosing(self._connector.backfill(hole.series.symbol, span)) as pages:  # type: ignore[type-var]
                async for page in pages:
                    delivery = await self._publish(Taken(raw_of(page), [time.time_ns()] * len(page)))
        finally:
            _filling.reset(token)
        if delivery is not None:
            await delivery.acknowledged()

    async def _record(self, hole: Hole, detail: str | None, *, filled: bool = False) -> None:
        before, after, (stream, symbol) = hole.before, hole.after, hole.series
        sequences = {"from_sequence": before.sequence, "to_sequence": None if after is None else after.sequence}
        fields = {
            "gap_id": self._gap_id(hole),
            "connector": self._id,
            "stream": stream,
            "symbol": symbol,
            "begin": format_timestamp(before.time_ns),
            "end": format_timestamp(hole.end_ns),
            **{name: number for name, number in sequences.items() if number is not None},
            "filled": filled,
            "reason": hole.reason,
            **({} if detail is None else {"detail": detail}),
        }
        delivery = await self._gaps.send(fields, before.time_ns, time.time_ns())
        await delivery.acknowledged()

    def _gap_id(self, hole: Hole) -> str:
        """The same for a hole that is found again after a restart: it begins with the same message."""
        about = (self._id, self._connector.source_id, *hole.series, hole.before.event_id)
        return message_id(hole.before.time_ns, name_of(GAP_V1).fqdn, "\0".join(about).encode())
