"""Event-time windows of one partition: which row is late, which is a duplicate, and when a bar leaves.

A pure state machine: what comes out depends on the rows and their order, not on the clock and not on where a batch
was cut. The one use of a clock is to ask for heartbeats; what they do to windows is read from the log like all else.

Everything is decided for a whole batch at once. The watermark at each row is a running maximum; a row is compared with
it, and each window closes at the first row that brings the watermark to its end. Rows that a bar takes in before its
close all lie before that row, and its amendments all after it, so no batch has to be split.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.batch import MicroBatch, Outcomes, Quiet
from contracts.decode import refused_rows
from contracts.frames import BARS, HEARTBEATS
from features.accumulate import BARS_IN_MAKING, KEY, amendments, combine, contributions, finished, gathered
from features.feeds import NEVER, Feeds, Ints, codes
from features.seen_ids import Ids, SeenIds
from features.window_config import WindowConfig

LATE: Final = "late"
END_OF_RUN_ROW: Final = 2**31 - 1  # after every row of the last record
OUTCOMES: Final = ("accepted", "amending", "duplicate", LATE, "heartbeat")


@dataclass(frozen=True, slots=True)
class WindowsState:
    """Everything a partition's windows remember; frames and arrays in it are never written to again."""

    newest: dict[str, int]
    opened: pl.DataFrame  # BARS_IN_MAKING of open windows
    closed: pl.DataFrame  # BARS_IN_MAKING of closed windows that can still be amended
    seen: object
    outcomes: Outcomes
    position: tuple[str, int, int] | None  # topic, partition, next offset


@dataclass(frozen=True, slots=True)
class Rows:
    """Events, and what has been found out about each of them."""

    events: pl.DataFrame
    feed: Ints
    window: Ints
    ids: Ids
    watermark: Ints
    outcome: npt.NDArray[np.int8]  # index into OUTCOMES

    def that_are(self, outcome: str) -> Ints:
        return np.flatnonzero(self.outcome == OUTCOMES.index(outcome))


class Windows:
    """Closes, amends and dedupes; `step` once per micro-batch, `flush` at the end of a bounded run."""

    def __init__(self, config: WindowConfig) -> None:
        self._config = config
        self._feeds = Feeds()
        self._opened = pl.DataFrame(schema=BARS_IN_MAKING)
        self._closed = pl.DataFrame(schema=BARS_IN_MAKING)
        self._seen = SeenIds()
        self._outcomes = Outcomes()
        self._position: tuple[str, int, int] | None = None
        self._heard: dict[str, int] = {}

    def step(self, batch: MicroBatch) -> MicroBatch:
        """Takes in the events of a batch; answers with its bars, late rows, and the heartbeats that are due."""
        self._position = (batch.topic, batch.partition, batch.next_offset)
        self._outcomes = _added(self._outcomes, batch.outcomes)
        result = replace(batch, events=batch.events.clear(), payloads=(), outcomes=self._outcomes)
        if batch.events.height:
            rows = self._judged(batch.events)
            self._outcomes = _added(self._outcomes, _counted(rows))
            result = replace(
                result,
                bars=self._bars(rows),
                late=_late(rows, batch),
                outcomes=self._outcomes,
            )
            self._heard |= dict.fromkeys(codes(batch.events["provider"])[0], batch.read_at)
        if len(self._feeds.newest):
            result = replace(result, watermark=int(self._feeds.newest.max()) - self._config.allow_late_ns)
        return replace(result, heartbeats=self._due_heartbeats(batch.quiet)) if batch.quiet else result

    def flush(self) -> MicroBatch | None:
        """The bars of the windows still open, as if they closed now. The state stays as it is."""
        if self._position is None or self._opened.is_empty():
            return None
        topic, partition, next_offset = self._position
        cause = pl.lit(next_offset - 1, pl.Int64).alias("offset"), pl.lit(END_OF_RUN_ROW, pl.Int64).alias("row")
        ordered = self._opened.sort("window", "provider", "symbol").with_columns(cause)
        return MicroBatch(
            topic=topic,
            partition=partition,
            next_offset=next_offset,
            provisional=True,
            outcomes=self._outcomes,
            bars=finished(ordered, self._config.window_ns, self._config.interval),
        )

    def snapshot(self) -> WindowsState:
        return WindowsState(
            self._feeds.state(),
            self._opened,
            self._closed,
            self._seen.snapshot(),
            self._outcomes,
            self._position,
        )

    def restore(self, state: WindowsState) -> None:
        """Go on from a snapshot that windows of the same config have made."""
        self._feeds, self._opened, self._closed = Feeds(state.newest), state.opened, state.closed
        self._seen.restore(state.seen)  # type: ignore[arg-type]
        self._outcomes, self._position = state.outcomes, state.position

    def _judged(self, events: pl.DataFrame) -> Rows:
        """The events with window, watermark and outcome of each."""
        window_ns, amend_ns = self._config.window_ns, self._config.amend_ns
        times = events["src_ts"].to_numpy()
        window = times - times % window_ns
        end = window + window_ns
        feed = self._feeds.numbers(events["provider"])
        is_heartbeat = (events["kind"] == "heartbeat").to_numpy()
        ids = Ids.of(events, window)
        fresh = self._seen.fresh(ids, np.flatnonzero(~is_heartbeat))
        newest = self._feeds.running(feed, np.where(fresh | is_heartbeat, times, NEVER))
        watermark = newest - self._config.allow_late_ns
        outcome = np.zeros(len(times), np.int8)
        outcome[end <= watermark] = OUTCOMES.index("amending")
        outcome[~fresh] = OUTCOMES.index("duplicate")
        outcome[end + amend_ns < watermark] = OUTCOMES.index(LATE)
        outcome[is_heartbeat] = OUTCOMES.index("heartbeat")
        return Rows(events, feed, window, ids, watermark, outcome)

    def _bars(self, rows: Rows) -> pl.DataFrame:
        """Closes and amendments that the rows cause, in row order; moves the state on past them."""
        accepted, amending = rows.that_are("accepted"), rows.that_are("amending")
        if len(accepted):
            added = gathered(contributions(rows.events, rows.window, accepted))
            self._opened = combine(self._opened, added)
        self._feeds.advance(rows.feed, rows.watermark + self._config.allow_late_ns)
        leaving = [frame for frame in (self._close(rows), self._amend(rows, amending)) if frame.height]
        self._remember(rows, np.concatenate([accepted, amending]))
        if not leaving:
            return pl.DataFrame(schema=BARS)
        ordered = pl.concat(leaving).sort("index", "window", "provider", "symbol")
        causes = rows.events.select("offset", "row")[ordered["index"]]
        return finished(ordered.hstack(causes), self._config.window_ns, self._config.interval)

    def _watermarks(self, bars: pl.DataFrame) -> Ints:
        """The watermark of each bar's provider."""
        return self._feeds.newest[self._feeds.numbers(bars["provider"])] - self._config.allow_late_ns

    def _close(self, rows: Rows) -> pl.DataFrame:
        """Moves the windows that the rows close from opened to closed; they, with the index of the closing row."""
        end = self._opened["window"].to_numpy() + self._config.window_ns
        closes = end <= self._watermarks(self._opened)
        if not closes.any():
            return pl.DataFrame()
        closing = self._opened.filter(closes)
        self._opened = self._opened.filter(~closes)
        self._closed = pl.concat([self._closed, closing])
        return closing.with_columns(index=self._closing_rows(rows, closing, end[closes]))

    def _closing_rows(self, rows: Rows, closing: pl.DataFrame, end: Ints) -> Ints:
        """For each closing window the first row of its provider that brought the watermark to its end."""
        index = np.zeros(len(end), np.int64)
        feed = self._feeds.numbers(closing["provider"])
        for provider in np.unique(feed):
            mine, theirs = np.flatnonzero(feed == provider), np.flatnonzero(rows.feed == provider)
            index[mine] = theirs[np.searchsorted(rows.watermark[theirs], end[mine])]
        return index

    def _amend(self, rows: Rows, amending: Ints) -> pl.DataFrame:
        """Bars after each amending row; the closed windows take over the last state of each."""
        if not len(amending):
            return pl.DataFrame()
        amended = amendments(self._closed, contributions(rows.events, rows.window, amending))
        latest = amended.unique(KEY, keep="last")
        self._closed = pl.concat([self._closed.join(latest, on=KEY, how="anti"), latest])
        return amended.with_columns(index=amending)

    def _remember(self, rows: Rows, new: Ints) -> None:
        """Adds the ids of new rows, and drops ids and bars that nothing can change any more."""
        watermarks = self._feeds.newest - self._config.allow_late_ns
        wait = self._config.window_ns + self._config.amend_ns
        self._seen.add(rows.ids, new, rows.window + wait, rows.feed, watermarks)
        self._seen.forget(watermarks)
        if self._closed.height:
            alive = self._closed["window"].to_numpy() + wait >= self._watermarks(self._closed)
            self._closed = self._closed if alive.all() else self._closed.filter(alive)

    def _due_heartbeats(self, quiet: Quiet) -> pl.DataFrame:
        """A heartbeat for each provider whose silence, added to its newest event, closes a window."""
        if self._opened.is_empty():
            return pl.DataFrame(schema=HEARTBEATS)
        waiting = self._opened.group_by("provider").agg(end=pl.col("window").min() + self._config.window_ns)
        silence = [quiet.until - max(quiet.since, self._heard.get(name, quiet.since)) for name in waiting["provider"]]
        newest = self._feeds.newest[self._feeds.numbers(waiting["provider"])]
        due = (
            waiting.with_columns(silence=pl.Series(silence, dtype=pl.Int64), newest=newest)
            .with_columns(src_ts=pl.col("newest") + pl.col("silence"))
            .filter(pl.col("silence") >= self._config.flush_timeout_ms * 1_000_000)
            .filter(pl.col("src_ts") - self._config.allow_late_ns >= pl.col("end"))
        )
        self._heard |= dict.fromkeys(due["provider"], quiet.until)  # not again before this one had time to arrive
        return due.select(HEARTBEATS.names())


def _late(rows: Rows, batch: MicroBatch) -> pl.DataFrame:
    late = rows.events[rows.that_are(LATE)]
    if late.is_empty():
        return batch.late
    why = late.with_columns(reason=pl.lit(LATE), error=pl.lit("its window can no longer change"))
    return refused_rows(late, batch.payloads, why)


def _counted(rows: Rows) -> Outcomes:
    counts = np.bincount(rows.outcome, minlength=len(OUTCOMES)).tolist()
    return Outcomes(**dict(zip(OUTCOMES, counts, strict=True)))


def _added(total: Outcomes, more: Outcomes) -> Outcomes:
    return Outcomes(
        accepted=total.accepted + more.accepted,
        amending=total.amending + more.amending,
        duplicate=total.duplicate + more.duplicate,
        late=total.late + more.late,
        rejected=total.rejected + more.rejected,
        heartbeat=total.heartbeat + more.heartbeat,
    )
