"""The data between steps: a micro-batch of one Kafka partition, enriched by each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

import polars as pl

from contracts import frames


@dataclass(frozen=True, slots=True)
class Quiet:
    """The broker confirmed, continuously from `since` to `until`, that all records of the partition had been read.

    Both are nanoseconds of the worker's monotonic clock.
    """

    since: int
    until: int


@dataclass(frozen=True, slots=True)
class Appended:
    """The Kafka timestamps in milliseconds of the first and the last record of a batch."""

    offsets: tuple[int, int]
    times_ms: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Counts of a partition's rows by outcome, since the start of its state."""

    accepted: int = 0
    amending: int = 0
    duplicate: int = 0
    late: int = 0
    rejected: int = 0
    heartbeat: int = 0

    @property
    def events(self) -> int:
        """All rows except heartbeats, which the pipeline itself writes."""
        return self.accepted + self.amending + self.duplicate + self.late + self.rejected

    def __add__(self, more: Outcomes) -> Outcomes:
        return Outcomes(  # spelled out, as it runs for each batch, and generic code takes ten times as long
            accepted=self.accepted + more.accepted,
            amending=self.amending + more.amending,
            duplicate=self.duplicate + more.duplicate,
            late=self.late + more.late,
            rejected=self.rejected + more.rejected,
            heartbeat=self.heartbeat + more.heartbeat,
        )


# Frames are immutable, so all batches share empty ones: creating one takes as long as a hundred events.
NO_EVENTS: Final = frames.EVENTS.to_frame()
NO_REFUSED: Final = frames.REFUSED.to_frame()
NO_HEARTBEATS: Final = frames.HEARTBEATS.to_frame()
NO_BARS: Final = frames.BARS.to_frame()
NO_SIGNALS: Final = frames.SIGNALS.to_frame()
NO_RESULTS: Final[Mapping[str, pl.DataFrame]] = MappingProxyType({})

BARS: Final = "bars"  # the streams of results that steps of the market dataflow read themselves
FEATURES: Final = "features"
SIGNALS: Final = "signals"


@dataclass(frozen=True, slots=True, kw_only=True)
class MicroBatch:
    """All rows fetched at once from one partition, and the results of the steps so far.

    Results caused by records before `write_from` come from an incomplete state, and are not written. `provisional`
    marks the results of windows still open at the end of a bounded run: steps process them without changing their
    state.

    `results` are frames by stream: what steps make, and sinks write. Each has a column `offset`, of the record that
    caused a row.
    """

    topic: str
    partition: int
    next_offset: int  # everything before it is in this batch or an earlier one
    write_from: int = 0
    read_at: int = 0  # monotonic nanoseconds
    appended: Appended | None = None
    ingested: Mapping[str, int] = field(default_factory=dict)  # valid events by provider
    quiet: Quiet | None = None
    provisional: bool = False
    watermark: int | None = None  # of the most advanced provider
    leaps: Mapping[str, int] = field(
        default_factory=dict
    )  # nanoseconds by which one event advanced a provider's, if far
    outcomes: Outcomes = Outcomes()
    events: pl.DataFrame = field(default_factory=lambda: NO_EVENTS)
    payloads: Sequence[bytes | None] = ()
    traces: Sequence[bytes | None] = ()  # of the records, as their headers have them
    rejects: pl.DataFrame = field(default_factory=lambda: NO_REFUSED)
    late: pl.DataFrame = field(default_factory=lambda: NO_REFUSED)
    heartbeats: pl.DataFrame = field(default_factory=lambda: NO_HEARTBEATS)
    results: Mapping[str, pl.DataFrame] = field(default_factory=lambda: NO_RESULTS)

    @property
    def bars(self) -> pl.DataFrame:
        return self.results.get(BARS, NO_BARS)

    @property
    def features(self) -> pl.DataFrame | None:
        """None unless some were computed: their columns depend on the config."""
        return self.results.get(FEATURES)

    @property
    def signals(self) -> pl.DataFrame:
        return self.results.get(SIGNALS, NO_SIGNALS)

    def having(self, stream: str, rows: pl.DataFrame) -> MicroBatch:
        """The batch with these results of a stream."""
        return replace(self, results={**self.results, stream: rows})

    @property
    def refused_bytes(self) -> int:
        """Bytes of the rejected and late rows: these have any size, while all other rows are bounded."""
        return sum(int(frame.estimated_size()) for frame in (self.rejects, self.late) if frame.height)

    @property
    def has_results(self) -> bool:
        """Whether it has rows of any stream."""
        return any(rows.height for rows in self.results.values())


def without_results(batch: MicroBatch) -> MicroBatch:
    """The batch, of which nothing is left but how far it goes and what was counted."""
    return replace(batch, results=NO_RESULTS)


Confirm = Callable[[Sequence[MicroBatch]], None]  # returns if they are from the expected log; else raises


def taken_as_read(_: Sequence[MicroBatch]) -> None:
    """A `Confirm` for a log that cannot be replaced."""
