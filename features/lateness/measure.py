"""Measures how late the events of a topic are, and their outcomes under each grace.

It is the state machine of the windows with the longest grace to try, so that ids, watermarks and windows are as in a
run; it makes no bars. Measured of each event that is not a duplicate:

- *lateness*: how far its event time lies behind the newest event of its provider before it in its partition; 0 if it is
  in order. Its maximum is the slack, the K, of buffers that restore order (K-slack: Babu, Srivastava and Widom,
  Exploiting k-constraints, ACM TODS 29(3), 2004, which states it in positions; here it is event time).
- *delay*, the cause of disorder: the timestamp of its record minus its event time. It is Flink's event time lag
  (FLIP-33, `currentFetchEventTimeLag`), at the broker instead of at the fetch; it may be negative where clocks differ.
  Kafka's timestamps are whole milliseconds.

And of each window's end, under the configured grace: the *wait*, from the end plus the grace to the arrival of the
record that closed the window.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from contracts.batch import MicroBatch
from features.bars.outcome import OUTCOMES
from features.bars.providers import NEVER
from features.bars.rows import Rows
from features.bars.window_config import WindowConfig
from features.bars.windows import Windows
from features.lateness.graces import LADDER_MS, LONGEST_MS, Graces, readable
from features.lateness.log_histogram import LogHistogram
from features.lateness.outliers import PartitionTally
from native.ordering import Ints


@dataclass(slots=True)
class Measured:
    """The measurements of all partitions so far.

    Attributes:
        graces: outcomes of events under each grace.
        lateness, delay, waits: see above.
        tallies: the counts by symbol of each partition that was read.
    """

    graces: Graces
    lateness: LogHistogram = field(default_factory=LogHistogram)
    delay: LogHistogram = field(default_factory=LogHistogram)
    waits: LogHistogram = field(default_factory=LogHistogram)
    tallies: list[pl.DataFrame] = field(default_factory=list)
    rejected: int = 0
    heartbeats: int = 0

    @classmethod
    def of(cls, config: WindowConfig) -> Measured:
        """Empty measurements, for a ladder of graces, the configured one and all round ones."""
        configured = config.allow_late_ms
        return cls(Graces([*LADDER_MS, configured, *readable(max(LONGEST_MS, configured))], config.amend_ns))


class Lateness(Windows):
    """The windows of one partition, which make no bars and add their measurements to `measured`."""

    def __init__(self, config: WindowConfig, measured: Measured) -> None:
        super().__init__(config.without_limits.model_copy(update={"allow_late_ms": measured.graces.longest_ms}))
        self._configured_ns = config.allow_late_ns
        self._measured = measured
        self._tally = PartitionTally()

    def take(self, batch: MicroBatch, arrived: Ints) -> None:
        """Processes a batch; `arrived` holds the timestamp of each event's record, in nanoseconds."""
        self._measured.rejected += batch.rejects.height
        if batch.events.is_empty():
            return
        events, feed, _ = self._known(batch.events)
        rows = self._classified(events, feed)
        newest = rows.watermark + self._config.allow_late_ns
        self._measured.waits.add(self._waits(rows, newest, arrived))
        self._providers.newest = rows.newest
        self._remember(rows, np.concatenate([rows.with_outcome("accepted"), rows.with_outcome("amending")]))
        self._measure(rows, newest, arrived)

    def end(self) -> None:
        """Adds the counts by symbol to `measured`, after the partition has been read."""
        self._measured.tallies.append(
            self._tally.named(lambda feeds, symbols: (self._providers.names(feeds), self._symbols.texts(symbols)))
        )

    def _measure(self, rows: Rows, newest: Ints, arrived: Ints) -> None:
        measured, amend_ns = self._measured, self._config.amend_ns
        events = np.flatnonzero(rows.outcome != OUTCOMES.index("heartbeat"))
        measured.heartbeats += len(newest) - len(events)
        is_repeat = rows.outcome[events] == OUTCOMES.index("duplicate")
        past_end = _since((rows.bar.window[events] + 1) * self._config.window_ns, newest[events])
        measured.graces.add(past_end, is_repeat)
        times, new = rows.events["src_ts"].to_numpy()[events], ~is_repeat
        bucket = np.zeros(len(events), np.int64)
        bucket[new] = measured.lateness.add(_since(times, newest[events])[new])
        measured.delay.add(_since(times, arrived[events])[new])
        is_late = past_end > self._configured_ns + amend_ns
        self._tally.add(rows.bar[events], bucket, is_late, is_repeat)

    def _waits(self, rows: Rows, newest: Ints, arrived: Ints) -> Ints:
        """For each row that closes windows, the time from when the first was due to the arrival of the record."""
        feed, window_ns, grace_ns = rows.bar.feed, self._config.window_ns, self._configured_ns
        order = np.argsort(feed, kind="stable") if (feed != feed[0]).any() else np.arange(len(feed))
        feed, newest = feed[order], newest[order]
        before = np.append(NEVER, newest[:-1])
        first = np.append(True, feed[1:] != feed[:-1])
        before[first] = self._providers.newest[feed[first]]
        due = ((before - grace_ns) // window_ns + 1) * window_ns + grace_ns
        closing = np.flatnonzero((newest >= due) & (before != NEVER))
        return _since(due[closing], arrived[order][closing])


def _since(earlier: Ints, later: Ints) -> Ints:
    """The time from `earlier` to `later`, clamped to 146 years against overflow."""
    longest = np.int64(2**62)
    return later - np.maximum(earlier, np.maximum(later, -longest) - longest)
