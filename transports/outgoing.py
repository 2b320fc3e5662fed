"""Frames of events and raw records for producers to send, and the account of what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from contracts.event import WIRE

GOOD: Final = "good"
OUT_OF_ORDER: Final = "out_of_order"
DUPLICATE: Final = "duplicate"
UNCHECKED: Final = "unchecked"

# One row per event, in the order of sending. A row with `raw` is sent as these bytes, regardless of other columns.
OUTGOING: Final = pl.Schema(
    [
        *WIRE.items(),
        ("raw", pl.Binary()),
        ("label", pl.String()),  # good, out_of_order, duplicate, unchecked, or how a record is malformed
        ("arrival", pl.Int64()),  # when to send the row, where it matters
        ("behind", pl.Int64()),  # how much older the event is than the newest one sent before it
    ]
)


def outgoing(rows: pl.DataFrame, label: str) -> pl.DataFrame:
    """Returns `rows` with all OUTGOING columns: the label, and null for missing ones."""
    labelled = rows.with_columns(label=pl.lit(label))
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in OUTGOING.items() if name not in labelled.columns]
    return labelled.with_columns(missing).select(OUTGOING.names())


def with_disorder(rows: pl.DataFrame, newest: int | None) -> tuple[pl.DataFrame, int | None]:
    """Fill in `behind`, and relabel good events that come after a newer one as out of order.

    Args:
        rows: an OUTGOING frame in the order of sending.
        newest: the newest event time in the frames before it.

    Returns:
        The rows, and the newest event time up to their end.
    """
    # Malformed records have no event time, and do not affect the order.
    running = pl.concat([pl.Series([newest], dtype=pl.Int64), rows["src_ts"]]).cum_max().fill_null(strategy="forward")
    before = running.head(-1).zip_with(running.head(-1).is_not_null(), rows["src_ts"])
    marked = rows.with_columns(behind=(before - rows["src_ts"]).clip(lower_bound=0))
    is_delayed = (pl.col("behind") > 0) & (pl.col("label") == GOOD)
    return marked.with_columns(label=pl.when(is_delayed).then(pl.lit(OUT_OF_ORDER)).otherwise("label")), running[-1]


@dataclass(frozen=True, slots=True)
class Sent:
    """An account of rows that were sent.

    Attributes:
        by_kind: number of rows under each label.
        first_src_ts: the oldest event time, in nanoseconds; None without events.
        last_src_ts: the newest event time.
        max_disorder_ns: the most that an event was older than one sent before it; None if times were not examined.
            With a grace (`allow_late_ms`) above it no event reaches a closed window, so nothing is amended or late.
    """

    by_kind: Mapping[str, int] = field(default_factory=dict)
    first_src_ts: int | None = None
    last_src_ts: int | None = None
    max_disorder_ns: int | None = None

    @classmethod
    def of(cls, rows: pl.DataFrame) -> Sent:
        """Account for an OUTGOING frame."""
        counts = rows["label"].value_counts().sort("label")
        extremes = rows.select(first=pl.col("src_ts").min(), last=pl.col("src_ts").max(), behind=pl.col("behind").max())
        first, last, behind = extremes.row(0)
        return cls(dict(counts.iter_rows()), first, last, behind)

    def __add__(self, other: Sent) -> Sent:
        labels = sorted({*self.by_kind, *other.by_kind})
        return Sent(
            {label: self.by_kind.get(label, 0) + other.by_kind.get(label, 0) for label in labels},
            min(_known(self.first_src_ts, other.first_src_ts), default=None),
            max(_known(self.last_src_ts, other.last_src_ts), default=None),
            max(_known(self.max_disorder_ns, other.max_disorder_ns), default=None),
        )

    @property
    def total(self) -> int:
        """All rows: good + duplicates + malformed + unchecked."""
        return sum(self.by_kind.values())

    @property
    def good(self) -> int:
        """Distinct valid events, those out of order among them."""
        return self.by_kind.get(GOOD, 0) + self.out_of_order

    @property
    def out_of_order(self) -> int:
        """Valid events sent after a newer one."""
        return self.by_kind.get(OUT_OF_ORDER, 0)

    @property
    def duplicates(self) -> int:
        """Events sent again."""
        return self.by_kind.get(DUPLICATE, 0)

    @property
    def unchecked(self) -> int:
        """Rows of files, valid or not."""
        return self.by_kind.get(UNCHECKED, 0)

    @property
    def malformed(self) -> int:
        """Records malformed on purpose; `by_kind` gives the kinds."""
        return self.total - self.good - self.duplicates - self.unchecked


def _known(*values: int | None) -> list[int]:
    return [value for value in values if value is not None]
