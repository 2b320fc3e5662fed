"""Bars of windows whose events came too late, as they are with these events: the windows of a flow, run once more.

The same state machine, over a part of the log: it says of each row how far the watermark had come. Of the windows that
are wanted it keeps all events, however late; of all others it keeps only what the watermark depends on.

A part of the log is enough if it begins at the first record that can hold an event of a wanted window. What lies before
is older than these windows, so it neither belongs to them nor closes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from contracts.batch import MicroBatch
from contracts.frames import BARS, CAUSE
from features.accumulate import BARS_IN_MAKING, KEY, combine, contributions, finished, gathered
from features.feeds import Ints
from features.seen_ids import SeenIds
from features.window_config import WindowConfig
from features.windows import Rows, Windows

_KEY: Final = {"provider": pl.String, "symbol": pl.String, "window": pl.Int64}
WANTED: Final = pl.Schema({**_KEY, "last": pl.Int64})
_CAUSES: Final = pl.Schema({**_KEY, **CAUSE})


@dataclass(frozen=True, slots=True)
class Repaired:
    """Windows of which everything has been read.

    Attributes:
        windows: WANTED; not among them is one whose last late event was not where it should have been.
        bars: BARS; none of a window that nothing has amended.
    """

    windows: pl.DataFrame
    bars: pl.DataFrame


class LateRepair(Windows):
    """Windows of one partition that only gather what is wanted.

    Args:
        config: as of the flow.
        wanted: WANTED, the windows to recompute, each with the offset of the last event that came too late for it.
    """

    def __init__(self, config: WindowConfig, wanted: pl.DataFrame) -> None:
        super().__init__(config)
        self._wanted = wanted
        self._ids = SeenIds()
        self._making = pl.DataFrame(schema=BARS_IN_MAKING)
        self._causes = pl.DataFrame(schema=_CAUSES)
        self._met = pl.DataFrame(schema=_KEY)  # windows whose last late event has been read

    def take(self, batch: MicroBatch) -> Repaired:
        """Takes in a batch, and gives up the windows that it brought to their last event."""
        self.step(batch)
        is_done = pl.col("last") < batch.next_offset
        done = self._wanted.filter(is_done).join(self._met, on=KEY, how="semi")
        self._wanted, self._met = self._wanted.filter(~is_done), self._met.clear()
        bars = self._making.join(done, on=KEY, how="semi").join(self._causes, on=KEY, maintain_order="left")
        self._making, self._causes = (frame.join(done, on=KEY, how="anti") for frame in (self._making, self._causes))
        self._ids.forget(_watermark(batch.next_offset))
        ordered = bars.sort("offset", "row", *KEY)
        return Repaired(done, finished(ordered, self._config.window_ns, self._config.interval))

    def _bars(self, rows: Rows) -> pl.DataFrame:
        self._feeds.advance(rows.feed, rows.watermark + self._config.allow_late_ns)
        self._remember(rows, np.concatenate([rows.that_are("accepted"), rows.that_are("amending")]))
        self._gather(rows)
        return pl.DataFrame(schema=BARS)

    def _gather(self, rows: Rows) -> None:
        """Adds the rows of wanted windows that come for the first time; those after the close count as amendments."""
        wanted, last = self._wanted_rows(rows)
        is_first = self._ids.fresh(rows.ids, wanted)[wanted]
        new, last = wanted[is_first], last[is_first]
        if not len(new):
            return
        progress = _watermark(int(rows.events["offset"][-1]))
        expiry, feed = np.zeros_like(rows.window), np.zeros_like(rows.feed)
        expiry[new] = last
        self._ids.add(rows.ids, new, expiry, feed, progress)
        is_closed = rows.window[new] + self._config.window_ns <= rows.watermark[new]
        opened, amending = (_accumulated(rows, new[which]) for which in (~is_closed, is_closed))
        self._making = combine(self._making, opened, amending.with_columns(revision=pl.col("trades")))
        causes = rows.events[new[is_closed]].select("provider", "symbol", "offset", "row")
        causes = causes.with_columns(window=rows.window[new[is_closed]]).select(_CAUSES.names())
        self._causes = pl.concat([self._causes, causes]).unique(KEY, keep="last", maintain_order=True)

    def _wanted_rows(self, rows: Rows) -> tuple[Ints, Ints]:
        """(the rows of wanted windows up to their last late event, the offset of that event for each row)."""
        events = rows.events.select("provider", "symbol", "kind", "offset").with_columns(window=rows.window)
        events = events.with_row_index("index").filter(pl.col("kind") != "heartbeat")
        found = events.join(self._wanted, on=KEY, maintain_order="left").filter(pl.col("offset") <= pl.col("last"))
        met = found.filter(pl.col("offset") == pl.col("last")).select(KEY).unique()
        self._met = pl.concat([self._met, met])
        return found["index"].cast(pl.Int64).to_numpy(), found["last"].to_numpy()


def _accumulated(rows: Rows, chosen: Ints) -> pl.DataFrame:
    if not len(chosen):
        return pl.DataFrame(schema=BARS_IN_MAKING)
    return gathered(contributions(rows.events, rows.window, chosen))


def _watermark(offset: int) -> Ints:
    """Ids are remembered by offset here: those of a window until its last event."""
    return np.array([offset], np.int64)
