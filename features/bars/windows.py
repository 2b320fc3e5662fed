"""Event-time windows of one partition: detects late and duplicate rows, and emits bars.

A pure state machine: its output depends on the rows and their order, not on the clock and not on the cut of batches.
A clock is used only to request heartbeats; their effect on windows is read from the log like everything else.

A whole batch is processed at once. The watermark at each row is a running maximum; each row is compared with it, and a
window closes at the first row at which the watermark reaches its end. All rows of a bar before its close precede that
row, and all its amendments follow it, so no batch has to be split.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Final, TypedDict

import numpy as np
import polars as pl

from codec.refused import Sources, refused_rows
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
from features.bars.outcome import (
    HEARTBEAT,
    LATE,
    OUTCOMES,
    Bools,
    OutcomeCodes,
    Unclassified,
    classify,
    closing_rows,
    counted,
    leaps,
)
from features.bars.providers import Providers
from features.bars.seen_ids import IdKeys, Ids, SeenIds, SeenState
from features.bars.symbols import Symbols
from features.bars.window_config import WindowConfig
from native.keyed_hash import Key
from native.ordering import Ints
from native.strings import equal, hashes

END_OF_RUN_ROW: Final = 2**31 - 1  # after every row of the last record


class WindowsState(TypedDict):
    """The state of a partition's windows; its arrays are never mutated."""

    keys: tuple[Key, Key, Key]  # as IdKeys
    newest: dict[str, int]
    symbols: list[str]  # by number
    opened: Accumulators  # of open windows
    closed: Accumulators  # of closed windows that can still be amended
    seen: SeenState
    outcomes: dict[str, int]
    position: tuple[str, int, int] | None  # topic, partition, next offset


@dataclass(frozen=True, slots=True)
class Rows:
    """Events, with the bar, watermark and outcome of each."""

    events: pl.DataFrame
    bar: BarIds
    ids: Ids
    newest: Ints  # of each provider after them, by its number
    watermark: Ints
    outcome: OutcomeCodes

    def with_outcome(self, outcome: str) -> Ints:
        return np.flatnonzero(self.outcome == OUTCOMES.index(outcome))


class Windows:
    """Closes and amends bars and deduplicates; `step` per micro-batch, `flush` at the end of a bounded run."""

    def __init__(self, config: WindowConfig) -> None:
        self._config = config
        self._keys = IdKeys.new()
        self._providers = Providers(self._keys.provider)
        self._symbols = Symbols(self._keys.symbol)
        self._opened, self._closed = none(), none()
        self._seen = SeenIds()
        self._outcomes = Outcomes()
        self._position: tuple[str, int, int] | None = None
        self._heard: dict[str, int] = {}

    def step(self, batch: MicroBatch) -> MicroBatch:
        """Processes the events of a batch; returns it with its bars, late rows and due heartbeats."""
        self._position = (batch.topic, batch.partition, batch.next_offset)
        self._outcomes += batch.outcomes
        result = replace(batch, events=NO_EVENTS, payloads=(), traces=(), outcomes=self._outcomes)
        if batch.events.height:
            rows = self._classified(batch.events)
            self._outcomes += _counted(rows)
            heard, is_event = self._providers.counted(rows.bar.feed), rows.outcome != OUTCOMES.index(HEARTBEAT)
            leapt = self._leapt(rows, is_event)
            result = replace(
                result,
                results={BARS: self._bars(rows)},
                late=_late(rows, batch),
                outcomes=self._outcomes,
                leaps=leapt,
                ingested=heard if is_event.all() else self._providers.counted(rows.bar.feed[is_event]),
            )
            self._heard |= dict.fromkeys(heard, batch.read_at)
        if len(self._providers.newest):
            result = replace(result, watermark=int(self._providers.newest.max()) - self._config.allow_late_ns)
        return replace(result, heartbeats=self._due_heartbeats(batch.quiet)) if batch.quiet else result

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
            outcomes=asdict(self._outcomes),
            position=self._position,
        )

    def restore(self, state: WindowsState) -> None:
        """Continue from a snapshot of windows with the same config."""
        self._keys = IdKeys(*state["keys"])
        self._providers = Providers(self._keys.provider, state["newest"])
        self._symbols = Symbols(self._keys.symbol, pl.Series(state["symbols"], dtype=pl.String))
        self._opened, self._closed = state["opened"], state["closed"]
        self._seen.restore(state["seen"])
        self._outcomes, self._position = Outcomes(**state["outcomes"]), state["position"]

    def _forget_symbols(self) -> None:
        """Renumbers the symbols, once most of them are in no bar any more."""
        used = np.unique(np.concatenate([self._opened["symbol"], self._closed["symbol"]]))
        if self._symbols.wasted(len(used)):
            self._symbols = Symbols(self._keys.symbol, self._symbols.texts(used))
            self._opened, self._closed = (_renumbered(bars, used) for bars in (self._opened, self._closed))

    def _classified(self, events: pl.DataFrame) -> Rows:
        """The events with bar, watermark and outcome of each."""
        window_ns, amend_ns = self._config.window_ns, self._config.amend_ns
        times = fixed(events["src_ts"].to_numpy())
        feed, symbol = self._providers.numbers(events["provider"]), self._symbols.numbers(events["symbol"])
        bar = BarIds(times // window_ns, feed, symbol)
        end = (bar.window + 1) * window_ns
        is_heartbeat = equal(events["kind"], HEARTBEAT)
        hashed = hashes(events["event_id"], self._keys.event)
        ids = Ids.of(hashed, bar, self._providers, self._symbols, end + amend_ns)
        fresh = self._seen.fresh(ids, np.flatnonzero(~is_heartbeat))
        rows = Unclassified(times, end, feed, fresh, is_heartbeat)
        return Rows(events, bar, ids, *classify(rows, self._providers.newest, self._config.allow_late_ns, amend_ns))

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


def _late(rows: Rows, batch: MicroBatch) -> pl.DataFrame:
    chosen = rows.with_outcome(LATE)
    if not len(chosen):
        return batch.late
    late = rows.events[chosen]
    why = late.with_columns(reason=pl.lit(LATE), error=pl.lit("its window can no longer change"))
    return refused_rows(late, Sources(batch.payloads, batch.traces), why, late["src_ts"])


def _counted(rows: Rows) -> Outcomes:
    counts = counted(rows.outcome).tolist()
    return Outcomes(**dict(zip(OUTCOMES, counts, strict=True)))
