"""Recomputes bars with their late events: the windows of a flow, run again.

It is the same state machine, over a part of the log: it gives the watermark at each row. For requested windows it keeps
all events, however late; for all others only what the watermark depends on.

A part of the log is enough if it begins at the first record that can hold an event of a requested window. Earlier
records are older than these windows, so they neither belong to them nor close them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from contracts.batch import NO_BARS, MicroBatch
from contracts.frames import CAUSE
from features.bars.accumulators import Accumulators, merged, none
from features.bars.contributions import gathered
from features.bars.rows import Rows
from features.bars.seen_ids import SeenIds
from features.bars.window_config import WindowConfig
from features.bars.windows import Windows
from native.ordering import Ints

KEY: Final = ("provider", "symbol", "window")
_KEY: Final = {"provider": pl.String, "symbol": pl.String, "window": pl.Int64}
WANTED: Final = pl.Schema({**_KEY, "last": pl.Int64})
_CAUSES: Final = pl.Schema({**_KEY, **CAUSE})


@dataclass(frozen=True, slots=True)
class Repaired:
    """Windows that have been read completely.

    Attributes:
        windows: WANTED; a window whose last late event was not found at its offset is missing.
        bars: BARS; none for a window that no event has amended.
    """

    windows: pl.DataFrame
    bars: pl.DataFrame


class LateRepair(Windows):
    """The windows of one partition, which aggregate only requested windows.

    Args:
        config: that of the flow.
        wanted: WANTED, the windows to recompute, each with the offset of its last late event.
    """

    def __init__(self, config: WindowConfig, wanted: pl.DataFrame) -> None:
        super().__init__(config.without_limits)  # they would begin to count at another place of the log
        self._wanted = wanted
        self._ids = SeenIds()
        self._making = none()
        self._causes = pl.DataFrame(schema=_CAUSES)
        self._met = pl.DataFrame(schema=_KEY)  # windows whose last late event has been read

    def take(self, batch: MicroBatch) -> Repaired:
        """Processes a batch; returns, and drops, the windows whose last late event it contains."""
        self.step(batch)
        is_done = pl.col("last") < batch.next_offset
        done = self._wanted.filter(is_done).join(self._met, on=KEY, how="semi")
        self._wanted, self._met = self._wanted.filter(~is_done), self._met.clear()
        bars, self._making = self._split(self._making, done)
        amended = self._named(bars).join(self._causes, on=KEY, maintain_order="left")
        self._causes = self._causes.join(done, on=KEY, how="anti")
        self._ids.forget(_watermark(batch.next_offset))
        cause = amended["offset"].to_numpy(), amended["row"].to_numpy()
        ordered = self._finished(bars[amended["index"].to_numpy()], cause)
        return Repaired(done, ordered.sort("offset", "row", "provider", "symbol", "window_start"))

    def _split(self, bars: Accumulators, windows: pl.DataFrame) -> tuple[Accumulators, Accumulators]:
        """Returns (the bars of these windows, all others)."""
        chosen = self._named(bars).join(windows, on=KEY, how="semi")["index"].to_numpy()
        return bars[chosen], np.delete(bars, chosen)

    def _named(self, bars: Accumulators) -> pl.DataFrame:
        """Columns provider, symbol, window and index of each bar."""
        provider, symbol = self._names(bars)
        window = bars["window"] * self._config.window_ns
        return pl.DataFrame({"provider": provider, "symbol": symbol, "window": window, "index": np.arange(len(bars))})

    def _bars(self, rows: Rows) -> pl.DataFrame:
        self._providers.newest = rows.newest
        self._remember(rows, np.concatenate([rows.with_outcome("accepted"), rows.with_outcome("amending")]))
        self._gather(rows)
        return NO_BARS

    def _gather(self, rows: Rows) -> None:
        """Adds new rows of requested windows; those after the close count as amendments."""
        wanted, last = self._requested_rows(rows)
        expiry = np.zeros_like(rows.bar.window)
        expiry[wanted] = last
        ids = rows.ids._replace(expiry=expiry)
        new = wanted[self._ids.fresh(ids, wanted)[wanted]]
        if not len(new):
            return
        self._ids.add(ids, new, np.zeros_like(rows.bar.feed), _watermark(int(rows.events["offset"][-1])))
        start = rows.bar.window[new] * self._config.window_ns
        is_closed = start + self._config.window_ns <= rows.watermark[new]
        opened, amending = (_accumulated(rows, new[which]) for which in (~is_closed, is_closed))
        amending["revision"] = amending["trades"]
        self._making = merged(merged(self._making, opened), amending)
        causes = rows.events[new[is_closed]].select("provider", "symbol", "offset", "row")
        causes = causes.with_columns(window=start[is_closed]).select(_CAUSES.names())
        self._causes = pl.concat([self._causes, causes]).unique(KEY, keep="last", maintain_order=True)

    def _requested_rows(self, rows: Rows) -> tuple[Ints, Ints]:
        """Returns (the rows of requested windows up to their last late event, the offset of that event for each)."""
        events = rows.events.select("provider", "symbol", "kind", "offset").with_columns(
            window=rows.bar.window * self._config.window_ns
        )
        events = events.with_row_index("index").filter(pl.col("kind") != "heartbeat")
        found = events.join(self._wanted, on=KEY, maintain_order="left").filter(pl.col("offset") <= pl.col("last"))
        met = found.filter(pl.col("offset") == pl.col("last")).select(KEY).unique()
        self._met = pl.concat([self._met, met])
        return found["index"].cast(pl.Int64).to_numpy(writable=True), found["last"].to_numpy()


def _accumulated(rows: Rows, chosen: Ints) -> Accumulators:
    return gathered(rows.events, rows.bar, chosen) if len(chosen) else none()


def _watermark(offset: int) -> Ints:
    """The offset as a watermark: ids of a window are remembered up to the offset of its last event."""
    return np.array([offset], np.int64)
