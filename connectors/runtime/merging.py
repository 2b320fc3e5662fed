"""Pages of several symbols, each oldest first, as one sequence in the order of event time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from heapq import merge
from typing import NamedTuple

from connectors.connector import Raw


class Row(NamedTuple):
    """A raw message, and when what it says happened, in nanoseconds since the epoch."""

    time_ns: int
    raw: Raw


async def merged(sources: Mapping[str, AsyncIterator[Sequence[Row]]]) -> AsyncIterator[list[Row]]:
    """The rows of all sources, as soon as no source can have an earlier one; a page of each is in memory."""
    waiting: dict[str, list[Row]] = {}
    open_sources = dict(sources)
    while open_sources or any(waiting.values()):
        for name, pages in list(open_sources.items()):
            while not waiting.get(name):
                page = await anext(pages, None)
                if page is None:
                    del open_sources[name]
                    break
                waiting[name] = sorted(page)
        bound = min((waiting[name][-1].time_ns for name in open_sources), default=None)
        ready = list(merge(*(_taken(rows, bound) for rows in waiting.values())))
        if ready:
            yield ready


def _taken(rows: list[Row], bound: int | None) -> list[Row]:
    """Takes the rows up to a time out of their list; all of them without one."""
    count = len(rows) if bound is None else sum(row.time_ns <= bound for row in rows)
    taken = rows[:count]
    del rows[:count]
    return taken
