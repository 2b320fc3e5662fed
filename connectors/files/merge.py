"""Streams of rows merged by time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

_NEVER = -(2**63)


@dataclass(slots=True)
class _Stream:
    """The rows of one stream that have been read and not yet handed on, each with its `key`.

    The key is the latest time of the stream up to the row, so that each stream keeps its order: a row that comes late
    in its file comes late from here.
    """

    frames: Iterator[pl.DataFrame]
    latest: int = _NEVER
    held: pl.DataFrame = field(default_factory=pl.DataFrame)
    is_over: bool = False

    def fill(self) -> None:
        """Reads on if nothing is held."""
        while self.held.is_empty() and not self.is_over:
            frame = next(self.frames, None)
            if frame is None:
                self.is_over = True
            elif frame.height:
                keys = pl.concat([pl.Series([self.latest]), frame["src_ts"].fill_null(_NEVER)]).cum_max()[1:]
                self.latest = keys[-1]
                self.held = frame.with_columns(key=keys)

    def take(self, end: int) -> pl.DataFrame:
        """Hands over what comes before `end` or then."""
        rows = int(self.held["key"].search_sorted(end, side="right"))
        taken, self.held = self.held.head(rows), self.held.slice(rows)
        return taken


def merged(frames: Sequence[Iterator[pl.DataFrame]]) -> Iterator[pl.DataFrame]:
    """Yields the rows of all streams by their `src_ts`."""
    streams = [_Stream(one) for one in frames]
    while True:
        for stream in streams:
            stream.fill()
        streams = [stream for stream in streams if stream.held.height]
        if not streams:
            return
        # What is still to be read of any stream comes no earlier than the last row that is held of it.
        end = min(stream.held["key"][-1] for stream in streams)
        yield pl.concat([stream.take(end) for stream in streams]).sort("key", maintain_order=True).drop("key")
