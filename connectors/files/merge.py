"""Merges streams of rows by time."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

_NEVER = -(2**63)


@dataclass(slots=True)
class _Stream:
    """The buffered rows of one stream, each with its `key`.

    The key is the latest time of the stream up to the row, so that each stream keeps its order: a row that is late in
    its file is late in the result.
    """

    frames: Iterator[pl.DataFrame]
    latest: int = _NEVER
    held: pl.DataFrame = field(default_factory=pl.DataFrame)
    is_over: bool = False

    def fill(self) -> None:
        """Reads more if the buffer is empty."""
        while self.held.is_empty() and not self.is_over:
            frame = next(self.frames, None)
            if frame is None:
                self.is_over = True
            elif frame.height:
                keys = pl.concat([pl.Series([self.latest]), frame["src_ts"].fill_null(_NEVER)]).cum_max()[1:]
                self.latest = keys[-1]
                self.held = frame.with_columns(key=keys)

    def take(self, end: int) -> pl.DataFrame:
        """Returns, and removes, the rows with key ≤ `end`."""
        rows = int(self.held["key"].search_sorted(end, side="right"))
        taken, self.held = self.held.head(rows), self.held.slice(rows)
        return taken


def merged(frames: Sequence[Iterator[pl.DataFrame]]) -> Generator[pl.DataFrame, None, None]:
    """Yields the rows of all streams by their `src_ts`."""
    streams = [_Stream(one) for one in frames]
    while True:
        for stream in streams:
            stream.fill()
        streams = [stream for stream in streams if stream.held.height]
        if not streams:
            return
        # Unread rows of a stream are not earlier than its last buffered row.
        end = min(stream.held["key"][-1] for stream in streams)
        yield pl.concat([stream.take(end) for stream in streams]).sort("key", maintain_order=True).drop("key")
