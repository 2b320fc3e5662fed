"""The past of a source between two times, once: several symbols in one order, and resumed where it was interrupted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from connectors.connector import Connector, Disconnected, Span, raw_of
from connectors.runtime.backoff import Backoff
from connectors.runtime.gaps import Mark, Series, Tracker, marks_of
from connectors.runtime.intake import Taken
from connectors.runtime.merging import Row, merged
from connectors.runtime.positions import EVERY_SECONDS, PositionWriter
from connectors.runtime.publishing import Publisher
from connectors.runtime.sink import Delivery
from contracts.timestamps import format_timestamp
from normalize.envelopes import Accepted
from normalize.feed import Arrivals
from normalize.normalizer import Normalizer

MOST_ATTEMPTS: Final = 8  # to get a page
_SETTLE_SECONDS: Final = 0.01


def job_name(connector: str, span: Span) -> str:
    """By what the positions of a backfill are found again when it is asked for again."""
    return f"{connector} {format_timestamp(span.begin_ns)}/{format_timestamp(span.end_ns)}"


@dataclass(slots=True)
class Progress:
    """How far a backfill is.

    Attributes:
        messages: read so far.
        reached_ns: the event time up to which all symbols have been read.
    """

    messages: int = 0
    reached_ns: int = 0


class BackfillPositions:
    """Follows what a backfill hands over, and writes how far it is."""

    def __init__(self, tracker: Tracker, writer: PositionWriter) -> None:
        self._tracker, self._writer = tracker, writer
        self._written = time.monotonic()

    def note(self, messages: Accepted, delivery: Delivery) -> None:
        for series, mark in marks_of(messages):
            self._tracker.see(series, mark)
        self._writer.note(delivery)

    async def write(self, *, at_once: bool = False) -> list[Delivery]:
        """Writes the positions, not more than once a second unless they are the last ones."""
        if not at_once and time.monotonic() - self._written < EVERY_SECONDS:
            return []
        self._written = time.monotonic()
        return await self._writer.write()


class Backfill:
    """Reads the past of some symbols.

    Args:
        connector: has it.
        normalizer: says of a page when its messages happened.
        publisher: takes them; its observers are `positions`.
        marks: where an interrupted one was.
    """

    def __init__(
        self,
        connector: Connector,
        normalizer: Normalizer,
        publisher: Publisher,
        positions: BackfillPositions,
        marks: Mapping[Series, Mark],
    ) -> None:
        self._connector, self._normalizer, self._publisher = connector, normalizer, publisher
        self._positions, self._marks = positions, marks

    async def run(self, span: Span, note: Callable[[Progress], Any]) -> Progress:
        """Returns when all is acknowledged.

        Raises:
            MdpError: the source does not have it, or Kafka takes nothing any more.
            Disconnected, OSError: the source does not answer.
        """
        symbols = self._connector.request.symbols
        progress = Progress(reached_ns=span.begin_ns)
        sources = {symbol: self._rows(symbol, span) for symbol in symbols}
        try:
            async for rows in merged(sources):
                now_ns = time.time_ns()
                await self._publisher.publish(Taken([row.raw for row in rows], [now_ns] * len(rows)))
                self._publisher.settle()
                progress.messages += len(rows)
                progress.reached_ns = rows[-1].time_ns
                note(progress)
                await self._positions.write()
        finally:  # interrupted, too: what has been sent need not be read again
            await self._publisher.settled()
            await self._acknowledged(await self._positions.write(at_once=True))
        return progress

    async def _acknowledged(self, deliveries: Sequence[Delivery]) -> None:
        while not all(delivery.is_done for delivery in deliveries):
            self._publisher.settle()
            await asyncio.sleep(_SETTLE_SECONDS)

    async def _rows(self, symbol: str, span: Span) -> AsyncIterator[Sequence[Row]]:
        """The pages of a symbol; a page that fails is asked for again, from where the last one ended."""
        reached = [mark.time_ns for series, mark in self._marks.items() if series.symbol == symbol]
        begin_ns = max([span.begin_ns, *reached])
        backoff, attempts = Backoff(self._connector.request.manifest.reconnect), 0
        while True:
            try:
                async with aclosing(self._connector.backfill(symbol, Span(begin_ns, span.end_ns))) as pages:  # type: ignore[type-var]
                    async for page in pages:
                        rows = self._timed(raw_of(page))
                        yield rows
                        begin_ns, attempts = max(rows[-1].time_ns, begin_ns) if rows else begin_ns, 0
                return
            except (Disconnected, OSError):
                attempts += 1
                if attempts == MOST_ATTEMPTS:
                    raise
                await asyncio.sleep(backoff.delay(0.0))

    def _timed(self, page: list[bytes]) -> list[Row]:
        """The rows of a page by time; what is refused goes with what stands before it."""
        times: dict[int, int] = {}
        for group in self._normalizer.normalize(page, Arrivals([0] * len(page))).accepted:
            times |= dict(zip(group.records, group.times, strict=True))
        rows, last = [], min(times.values(), default=0)
        for at, raw in enumerate(page):
            last = times.get(at, last)
            rows.append(Row(last, raw))
        return sorted(rows, key=lambda row: row.time_ns)
