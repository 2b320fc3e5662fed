"""What flows between the steps: one micro-batch of one Kafka partition, enriched on its way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from contracts import frames


@dataclass(frozen=True, slots=True)
class Quiet:
    """The broker confirmed, without a break from `since` to `until`, that every record of the partition had been read.

    Both are nanoseconds of the worker's monotonic clock.
    """

    since: int
    until: int


@dataclass(frozen=True, slots=True)
class Appended:
    """When the first and the last record of a batch were appended, by their Kafka timestamps in milliseconds."""

    offsets: tuple[int, int]
    times_ms: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How many rows of a partition became what, since the start of its state."""

    accepted: int = 0
    amending: int = 0
    duplicate: int = 0
    late: int = 0
    rejected: int = 0
    heartbeat: int = 0

    @property
    def events(self) -> int:
        """All rows but heartbeats, which the pipeline wrote itself."""
        return self.accepted + self.amending + self.duplicate + self.late + self.rejected

    def __add__(self, more: Outcomes) -> Outcomes:
        return Outcomes(  # spelled out: for each batch, and generic code takes ten times as long
            accepted=self.accepted + more.accepted,
            amending=self.amending + more.amending,
            duplicate=self.duplicate + more.duplicate,
            late=self.late + more.late,
            rejected=self.rejected + more.rejected,
            heartbeat=self.heartbeat + more.heartbeat,
        )


# Frames are never changed, so all batches share those without rows: making one takes as long as a hundred events.
NO_EVENTS: Final = frames.EVENTS.to_frame()
NO_REFUSED: Final = frames.REFUSED.to_frame()
NO_HEARTBEATS: Final = frames.HEARTBEATS.to_frame()
NO_BARS: Final = frames.BARS.to_frame()
NO_SIGNALS: Final = frames.SIGNALS.to_frame()


@dataclass(frozen=True, slots=True, kw_only=True)
class MicroBatch:
    """All rows fetched at once from one partition, and what has been made of them so far.

    What is caused by records before `write_from` comes from a state that is not whole yet, and is not written.
    `provisional` marks what a bounded run emits for the windows still open at its end: steps answer it without
    keeping anything in their state.
    """

    topic: str
    partition: int
    next_offset: int  # everything before it is in this batch or in an earlier one
    write_from: int = 0
    read_at: int = 0  # monotonic nanoseconds
    appended: Appended | None = None
    ingested: Mapping[str, int] = field(default_factory=dict)  # events by provider, without those that are refused
    quiet: Quiet | None = None
    provisional: bool = False
    watermark: int | None = None  # of the provider that is furthest
    leaps: Mapping[str, int] = field(default_factory=dict)  # nanoseconds by which one event moved a provider's, if many
    outcomes: Outcomes = Outcomes()
    events: pl.DataFrame = field(default_factory=lambda: NO_EVENTS)
    payloads: Sequence[bytes | None] = ()
    traces: Sequence[bytes | None] = ()  # of the records, as their headers have them
    rejects: pl.DataFrame = field(default_factory=lambda: NO_REFUSED)
    late: pl.DataFrame = field(default_factory=lambda: NO_REFUSED)
    heartbeats: pl.DataFrame = field(default_factory=lambda: NO_HEARTBEATS)
    bars: pl.DataFrame = field(default_factory=lambda: NO_BARS)
    features: pl.DataFrame | None = None
    signals: pl.DataFrame = field(default_factory=lambda: NO_SIGNALS)

    @property
    def refused_bytes(self) -> int:
        """How large the rejected and late rows are: records of any size, where all else has a bound for each row."""
        return sum(int(frame.estimated_size()) for frame in (self.rejects, self.late) if frame.height)

    @property
    def has_results(self) -> bool:
        """Whether there are bars, features or signals in it."""
        features = 0 if self.features is None else self.features.height
        return bool(self.bars.height or features or self.signals.height)


Confirm = Callable[[Sequence[MicroBatch]], None]  # returns if they are of the log that they say; else it raises


def taken_as_read(_: Sequence[MicroBatch]) -> None:
    """A `Confirm` for a log that cannot become another one."""
