"""Event-time windows of one partition: detects late and duplicate rows, and emits bars.

A pure state machine: its output depends on the rows and their order, not on the clock and not on the cut of batches.
A clock is used only to request heartbeats; their effect on windows is read from the log like everything else.

A whole batch is processed at once. The watermark at each row is a running maximum; each row is compared with it, and a
window closes at the first row at which the watermark reaches its end. All rows of a bar before its close precede that
row, and all its amendments follow it, so no batch has to be split.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Final, TypedDict

import numpy as np
import polars as pl

from contracts.batch import BARS, NO_BARS, NO_EVENTS, NO_HEARTBEATS, MicroBatch, Outcomes, Quiet
from contracts.frames import HEARTBEATS
from features.bars.accumulate import Contributions, fixed
from features.bars.accumulators import (
    Accumulators,
    BarIds,
    Cause,
    Names,
    amended,
    collected,
    finished,
    joined,
    merged,
    none,
    taken,
)
from features.bars.contributions import contributions
from features.bars.live_series import LiveSeries, LiveSeriesState
from features.bars.outcome import HEARTBEAT, Bools, Lengths, Unclassified, classify, closing_rows, leaps
from features.bars.providers import Providers
from features.bars.rows import Rows, late, rejects
from features.bars.seen_ids import IdKeys, Ids, SeenIds, SeenState
from features.bars.symbols import SPARE, Symbols
from features.bars.window_config import WindowConfig
from native.keyed_hash import Key
from native.ordering import Ints
from native.strings import NOWHERE, equal, hashes

END_OF_RUN_ROW: Final = 2**31 - 1  # after every row of the last record


class WindowsState(TypedDict):
    """The state of a partition's windows; its arrays are never mutated."""

    keys: tuple[Key, Key, Key]  # as IdKeys
    newest: dict[str, int]
    symbols: list[str]  # by number
    opened: Accumulators  # of open windows
    closed: Accumulators  # of closed windows that can still be amended
    seen: SeenState
    series: LiveSeriesState
    outcomes: dict[str, int]
    position: tuple[str, int, int] | None  # topic, partition, next offset


class Windows:
    """Closes and amends bars and deduplicates; `step` per micro-batch, `flush` at the end of a bounded run.

    Args:
        config: lengths and limits.
        span_ns: how far the steps after it look back from the end of a window.
    """

    def __init__(self, config: WindowConfig, span_ns: int = 0) -> None:
        self._config = config
        self._lengths = Lengths(config.window_ns, config.allow_late_ns, config.amend_ns)
        self._keys = IdKeys.new()
        self._providers = Providers(self._keys.provider, most=config.max_providers)
        self._symbols = Symbols(self._keys.symbol)
        self._opened, self._closed = none(), none()
        self._seen = SeenIds()
        retained = max(span_ns // config.window_ns, 1) + config.amend_ns // config.window_ns
        self._series = LiveSeries(config.max_symbols, retained)
        self._outcomes = Outcomes()
        self._position: tuple[str, int, int] | None = None
        self._heard: dict[str, int] = {}

    def step(self, batch: MicroBatch) -> MicroBatch:
        """Processes the events of a batch; returns it with its bars, late rows and due heartbeats."""
        self._position = (batch.topic, batch.partition, batch.next_offset)
        self._outcomes += batch.outcomes
        result = replace(batch, events=NO_EVENTS, payloads=(), traces=(), outcomes=self._outcomes)
        if batch.events.height:
            result = self._processed(batch, result)
        if len(self._providers.newest):
            result = replace(result, watermark=int(self._providers.newest.max()) - self._config.allow_late_ns)
        return replace(result, heartbeats=self._due_heartbeats(batch.quiet)) if batch.quiet else result

    def _processed(self, batch: MicroBatch, result: MicroBatch) -> MicroBatch:
        """The result with what comes of the events of a batch."""
        events, feed, strangers = self._known(batch.events)
        rows = self._classified(events, feed)
        self._outcomes += rows.outcomes + Outcomes(rejected=strangers.height)
        heard, is_event = self._providers.counted(feed), rows.is_event
        leapt = self._leapt(rows, is_event)
        self._heard |= dict.fromkeys(heard, batch.read_at)
        result = replace(
            result,
            results={BARS: self._bars(rows)},
            late=late(rows, batch),
            rejects=rejects(rows, strangers, batch),
            outcomes=self._outcomes,
            leaps=leapt,
            ingested=heard if is_event.all() else self._providers.counted(feed[is_event]),
        )
        if len(self._symbols) > 2 * self._config.max_symbols + SPARE:  # most of them were rejected
            self._forget_symbols()
        return result

    def flush(self) -> MicroBatch | None:
        """The bars of the open windows, as if they closed now. The state does not change."""
        if self._position is None or not len(self._opened):
            return None
        topic, partition, next_offset = self._position
        cause = np.full(len(self._opened), next_offset - 1), np.full(len(self._opened), END_OF_RUN_ROW)
        return MicroBatch(
            topic=topic,
            partition=partition,
            next_offset=next_offset,
            provisional=True,
            outcomes=self._outcomes,
            results={BARS: self._finished(self._opened, cause)},
        )

    def snapshot(self) -> WindowsState:
        self._forget_symbols()
        return WindowsState(
            keys=(self._keys.provider, self._keys.symbol, self._keys.event),
            newest=self._providers.state(),
            symbols=list(self._symbols.all),
            opened=self._opened,
            closed=self._closed,
            seen=self._seen.snapshot(),
            series=self._series.state(),
            outcomes=asdict(self._outcomes),
            position=self._position,
        )

    def restore(self, state: WindowsState) -> None:
        """Continue from a snapshot of windows with the same config."""
        self._keys = IdKeys(*state["keys"])
        self._providers = Providers(self._keys.provider, state["newest"], self._config.max_providers)
        self._symbols = Symbols(self._keys.symbol, pl.Series(state["symbols"], dtype=pl.String))
        self._opened, self._closed = state["opened"], state["closed"]
        self._seen.restore(state["seen"])
        self._series.restore(state["series"])
        self._outcomes, self._position = Outcomes(**state["outcomes"]), state["position"]

    def _forget_symbols(self) -> None:
        """Renumbers the symbols, once most of them are in no bar any more."""
        used = np.unique(np.concatenate([self._opened["symbol"], self._closed["symbol"]]))
        if self._symbols.wasted(len(used)):
            self._symbols = Symbols(self._keys.symbol, self._symbols.texts(used))
            self._opened, self._closed = (_renumbered(bars, used) for bars in (self._opened, self._closed))

    def _known(self, events: pl.DataFrame) -> tuple[pl.DataFrame, Ints, pl.DataFrame]:
        """Returns (the events of providers that have a number, their numbers, all other events)."""
        feed = self._providers.numbers(events["provider"])
        known = feed != NOWHERE
        if known.all():
            return events, feed, NO_EVENTS
        return events.filter(known), feed[known], events.filter(~known)

    def _classified(self, events: pl.DataFrame, feed: Ints) -> Rows:
        """The events of providers with these numbers, with bar, watermark and outcome of each."""
        lengths, times = self._lengths, fixed(events["src_ts"].to_numpy())
        symbol = self._symbols.numbers(events["symbol"])
        bar = BarIds(times // lengths.window, feed, symbol)
        is_heartbeat = equal(events["kind"], HEARTBEAT)
        expiry = (bar.window + 1) * lengths.window + lengths.amend
        ids = Ids.of(hashes(events["event_id"], self._keys.event), bar, self._providers, self._symbols, expiry)
        first = self._seen.first(ids, np.flatnonzero(~is_heartbeat))
        series = self._providers.hashes()[1][feed] + self._symbols.hashes()[1][symbol]
        rows = Unclassified(times, bar.window, feed, series, first, is_heartbeat)
        newest = self._providers.newest
        return Rows(events, bar, ids, *classify(rows, newest, self._series.admission(len(feed), len(newest)), lengths))

    def _leapt(self, rows: Rows, is_event: Bools) -> dict[str, int]:
        """Providers whose watermark one event advances by more than `max_future_ms`, with the advance."""
        before, most_ns = self._providers.newest - self._config.allow_late_ns, self._config.max_future_ms * 1_000_000
        longest = leaps((rows.bar.feed, rows.watermark, is_event), before, most_ns)
        leaping = np.flatnonzero(longest)
        return dict(zip(self._providers.names(leaping), longest[leaping].tolist(), strict=True)) if len(leaping) else {}

    def _bars(self, rows: Rows) -> pl.DataFrame:
        """Closes and amendments caused by the rows, in row order; advances the state past them."""
        accepted, amending = rows.with_outcome("accepted"), rows.with_outcome("amending")
        added = contributions(rows.events, rows.bar)
        self._opened = merged(self._opened, collected(added, accepted))
        self._providers.newest = rows.newest
        closing, amendments = self._close(), self._amend(added, amending)
        self._remember(rows, np.concatenate([accepted, amending]))
        leaving = joined(closing, amendments)
        if not len(leaving):
            return NO_BARS
        bars = closing["feed"].astype(np.int64), self._ends(closing)
        closed_by = closing_rows((rows.bar.feed, rows.watermark), bars, len(self._providers.newest))
        index = np.concatenate([closed_by, amending])
        cause = rows.events["offset"].to_numpy()[index], rows.events["row"].to_numpy()[index]
        return self._finished(leaving, cause, index)

    def _finished(self, bars: Accumulators, cause: Cause, index: Ints | None = None) -> pl.DataFrame:
        """Bars in the order of `index`, if given, and of (window, provider, symbol), each with its cause."""
        keys = [self._symbols.ranks(bars["symbol"]), self._providers.ranks(bars["feed"]), bars["window"]]
        order = np.lexsort(keys if index is None else [*keys, index])
        offset, row = cause
        bars, cause = taken(bars, order), (offset[order], row[order])
        return finished(bars, self._names(bars), cause, self._config.window_ns, self._config.interval)

    def _names(self, bars: Accumulators) -> Names:
        """Provider and symbol of each bar."""
        return self._providers.names(bars["feed"]), self._symbols.texts(bars["symbol"])

    def _watermarks(self, bars: Accumulators) -> Ints:
        """The watermark of each bar's provider."""
        watermarks: Ints = (self._providers.newest - self._config.allow_late_ns)[bars["feed"]]
        return watermarks

    def _ends(self, bars: Accumulators) -> Ints:
        ends: Ints = (bars["window"] + 1) * self._config.window_ns
        return ends

    def _close(self) -> Accumulators:
        """Moves the windows that their watermark has passed from opened to closed, and returns them."""
        closes = self._ends(self._opened) <= self._watermarks(self._opened)
        if not closes.any():
            return none()
        closing = taken(self._opened, closes)
        self._opened = taken(self._opened, ~closes)
        self._closed = joined(self._closed, closing)
        return closing

    def _amend(self, added: Contributions, amending: Ints) -> Accumulators:
        """Bars after each amending row; the closed windows take over the last state of each."""
        if not len(amending):
            return none()
        self._closed, amendments = amended(self._closed, added, amending)
        return amendments

    def _remember(self, rows: Rows, new: Ints) -> None:
        """Adds the ids of new rows, and drops ids and bars that can no longer change."""
        watermarks = self._providers.newest - self._config.allow_late_ns
        self._seen.add(rows.ids, new, rows.bar.feed, watermarks)
        self._seen.forget(watermarks)
        alive = self._ends(self._closed) + self._config.amend_ns >= self._watermarks(self._closed)
        if not alive.all():
            self._closed = taken(self._closed, alive)

    def _due_heartbeats(self, quiet: Quiet) -> pl.DataFrame:
        """A heartbeat for each provider whose newest event time plus its silence closes a window."""
        if not len(self._opened):
            return NO_HEARTBEATS
        feeds, first = np.unique(self._opened["feed"], return_index=True)  # sorted by window
        providers, end = self._providers.names(feeds), self._ends(self._opened)[first]
        heard = [max(quiet.since, self._heard.get(name, quiet.since)) for name in providers]
        silence = quiet.until - np.array(heard, np.int64)
        src_ts = self._providers.newest[feeds] + silence
        due = (silence >= self._config.flush_timeout_ms * 1_000_000) & (src_ts - self._config.allow_late_ns >= end)
        if not due.any():
            return NO_HEARTBEATS
        asked = pl.DataFrame({"provider": self._providers.names(feeds[due]), "src_ts": src_ts[due]}, schema=HEARTBEATS)
        self._heard |= dict.fromkeys(asked["provider"], quiet.until)  # not again until this one may have arrived
        return asked


def _renumbered(bars: Accumulators, used: Ints) -> Accumulators:
    renumbered = bars.copy()
    renumbered["symbol"] = np.searchsorted(used, bars["symbol"])
    return renumbered
