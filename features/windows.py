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

import polars as pl

from contracts.batch import MicroBatch, Outcomes, Quiet
from contracts.decode import refused_rows
from contracts.frames import BARS, HEARTBEATS
from features.accumulate import BARS_IN_MAKING, KEY, amendments, combine, contributions, finished, gathered
from features.seen_ids import SeenIds, fingerprints
from features.window_config import WindowConfig

LATE: Final = "late"
END_OF_RUN_ROW: Final = 2**31 - 1  # after every row of the last record

_NEVER: Final = -(2**63) + 180 * 86_400 * 10**9  # before every valid time, and room to subtract a wait from it


@dataclass(frozen=True, slots=True)
class WindowsState:
    """Everything a partition's windows remember; frames and arrays in it are never written to again."""

    shape: tuple[int, ...]  # of the config that it was made with
    newest: pl.DataFrame  # provider, newest: largest accepted src_ts
    opened: pl.DataFrame  # BARS_IN_MAKING of open windows
    closed: pl.DataFrame  # BARS_IN_MAKING of closed windows that can still be amended
    seen: object
    outcomes: Outcomes
    position: tuple[str, int, int] | None  # topic, partition, next offset


class Windows:
    """Closes, amends and dedupes; `step` once per micro-batch, `flush` at the end of a bounded run."""

    def __init__(self, config: WindowConfig) -> None:
        self._config = config
        self._newest = pl.DataFrame(schema={"provider": pl.String, "newest": pl.Int64})
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
            rows = self._classified(batch.events)
            self._count(rows)
            result = replace(
                result,
                bars=self._bars(rows),
                late=_late(rows, batch),
                outcomes=self._outcomes,
            )
            self._heard |= dict.fromkeys(rows["provider"].unique(), batch.read_at)
        if self._newest.height:
            newest = int(self._newest["newest"].to_numpy().max())
            result = replace(result, watermark=newest - self._config.allow_late_ns)
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
            self._config.shape,
            self._newest,
            self._opened,
            self._closed,
            self._seen.snapshot(),
            self._outcomes,
            self._position,
        )

    def restore(self, state: WindowsState) -> None:
        """Go on from a snapshot.

        Raises:
            ValueError: it was made with other windows.
        """
        if state.shape != self._config.shape:
            raise ValueError("the saved state is of other windows; start from a new recovery store")
        self._newest, self._opened, self._closed = state.newest, state.opened, state.closed
        self._seen.restore(state.seen)  # type: ignore[arg-type]
        self._outcomes, self._position = state.outcomes, state.position

    def _classified(self, events: pl.DataFrame) -> pl.DataFrame:
        """Events with index, window, watermark and one of late, duplicate, amending, accepted, heartbeat."""
        window_ns, amend_ns = self._config.window_ns, self._config.amend_ns
        rows = events.with_columns(window=pl.col("src_ts") - pl.col("src_ts") % window_ns).with_row_index("index")
        ids = fingerprints(rows)
        known = self._seen.contains(ids["high"].to_numpy(), ids["low"].to_numpy())
        is_heartbeat = pl.col("kind") == "heartbeat"
        first = rows.select(is_heartbeat).hstack(ids).select(pl.struct(pl.all()).is_first_distinct()).to_series()
        rows = rows.with_columns(ids, fresh=first & ~pl.Series(known)).join(
            self._newest, on="provider", how="left", maintain_order="left"
        )
        moves = pl.when(pl.col("fresh") | is_heartbeat).then("src_ts").otherwise(_NEVER)
        newest = pl.max_horizontal(moves.cum_max().over("provider"), "newest")
        rows = rows.with_columns(watermark=newest - self._config.allow_late_ns)
        end = pl.col("window") + window_ns
        outcome = (
            pl.when(is_heartbeat)
            .then(pl.lit("heartbeat"))
            .when(end + amend_ns < pl.col("watermark"))
            .then(pl.lit("late"))
            .when(~pl.col("fresh"))
            .then(pl.lit("duplicate"))
            .when(end <= pl.col("watermark"))
            .then(pl.lit("amending"))
            .otherwise(pl.lit("accepted"))
        )
        return rows.with_columns(outcome=outcome)

    def _count(self, rows: pl.DataFrame) -> None:
        counts = dict(rows["outcome"].value_counts().iter_rows())
        self._outcomes = _added(self._outcomes, Outcomes(**counts))

    def _bars(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Closes and amendments that the rows cause, in row order; moves the state on past them."""
        accepted = rows.filter(pl.col("outcome") == "accepted")
        amending = rows.filter(pl.col("outcome") == "amending")
        if accepted.height:
            self._opened = combine(self._opened, gathered(contributions(accepted)))
        self._advance(rows)
        leaving = [frame for frame in (self._close(rows), self._amend(amending)) if frame.height]
        self._remember(rows)
        if not leaving:
            return pl.DataFrame(schema=BARS)
        ordered = pl.concat(leaving).sort("index", "window", "provider", "symbol")
        caused = ordered.join(rows.select("index", "offset", "row"), on="index", how="left", maintain_order="left")
        return finished(caused, self._config.window_ns, self._config.interval)

    def _advance(self, rows: pl.DataFrame) -> None:
        """Moves each provider's newest time on. Providers keep their place: ids refer to it."""
        moved = rows.group_by("provider").agg(moved=pl.col("watermark").max() + self._config.allow_late_ns)
        both = self._newest.join(moved, on="provider", how="full", coalesce=True, maintain_order="left_right")
        self._newest = both.select("provider", newest=pl.coalesce("moved", "newest"))

    def _close(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Moves the windows that the rows close from opened to closed; they, with the index of the closing row."""
        ends = self._opened.join(self._newest, on="provider", how="left").with_columns(
            end=pl.col("window") + self._config.window_ns
        )
        closes = ends["end"] <= ends["newest"] - self._config.allow_late_ns
        if not closes.any():
            return pl.DataFrame()
        self._opened = ends.filter(~closes).select(BARS_IN_MAKING.names())
        reached = rows.select("provider", "watermark", "index").sort("watermark", maintain_order=True)
        closing = (
            ends.filter(closes)
            .sort("end")
            .join_asof(
                reached, left_on="end", right_on="watermark", by="provider", strategy="forward", check_sortedness=False
            )
        )
        self._closed = pl.concat([self._closed, closing.select(BARS_IN_MAKING.names())])
        return closing.select(*BARS_IN_MAKING.names(), "index")

    def _amend(self, amending: pl.DataFrame) -> pl.DataFrame:
        """Bars after each amending row; the closed windows take over the last state of each."""
        if amending.is_empty():
            return pl.DataFrame()
        amended = amendments(self._closed, amending)
        latest = amended.unique(KEY, keep="last")
        self._closed = pl.concat([self._closed.join(latest, on=KEY, how="anti"), latest])
        return amended.with_columns(index=amending["index"])

    def _remember(self, rows: pl.DataFrame) -> None:
        """Adds the new ids, and drops ids and bars that nothing can change any more."""
        new = rows.filter(pl.col("outcome").is_in(["accepted", "amending"]))
        order = self._newest.with_row_index("code")
        watermarks = (order["newest"] - self._config.allow_late_ns).to_numpy()
        codes = new.select("provider").join(order, on="provider", how="left", maintain_order="left")["code"]
        expiry = new["window"] + (self._config.window_ns + self._config.amend_ns)
        self._seen.add(
            new["high"].to_numpy(),
            new["low"].to_numpy(),
            expiry.to_numpy(),
            codes.cast(pl.Int64).to_numpy(),
            watermarks,
        )
        self._seen.forget(watermarks)
        if self._closed.height:
            oldest = pl.col("newest") - (self._config.allow_late_ns + self._config.amend_ns + self._config.window_ns)
            kept = self._closed.join(self._newest, on="provider", how="left").filter(pl.col("window") >= oldest)
            self._closed = kept.select(BARS_IN_MAKING.names())

    def _due_heartbeats(self, quiet: Quiet) -> pl.DataFrame:
        """A heartbeat for each provider whose silence, added to its newest event, closes a window."""
        if self._opened.is_empty():
            return pl.DataFrame(schema=HEARTBEATS)
        waiting = self._opened.group_by("provider").agg(end=pl.col("window").min() + self._config.window_ns)
        silence = [quiet.until - max(quiet.since, self._heard.get(name, quiet.since)) for name in waiting["provider"]]
        due = (
            waiting.with_columns(silence=pl.Series(silence, dtype=pl.Int64))
            .join(self._newest, on="provider")
            .with_columns(src_ts=pl.col("newest") + pl.col("silence"))
            .filter(pl.col("silence") >= self._config.flush_timeout_ms * 1_000_000)
            .filter(pl.col("src_ts") - self._config.allow_late_ns >= pl.col("end"))
        )
        self._heard |= dict.fromkeys(due["provider"], quiet.until)  # not again before this one had time to arrive
        return due.select(HEARTBEATS.names())


def _late(rows: pl.DataFrame, batch: MicroBatch) -> pl.DataFrame:
    late = rows.filter(pl.col("outcome") == LATE)
    if late.is_empty():
        return batch.late
    why = late.with_columns(reason=pl.lit(LATE), error=pl.lit("its window can no longer change"))
    return refused_rows(late, batch.payloads, why)


def _added(total: Outcomes, more: Outcomes) -> Outcomes:
    return Outcomes(
        accepted=total.accepted + more.accepted,
        amending=total.amending + more.amending,
        duplicate=total.duplicate + more.duplicate,
        late=total.late + more.late,
        rejected=total.rejected + more.rejected,
        heartbeat=total.heartbeat + more.heartbeat,
    )
