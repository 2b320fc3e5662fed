"""The figures of a measurement for tables, plots and programs: times in milliseconds, shares between 0 and 1."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import polars as pl

from contracts.batch import Outcomes
from features.bars.window_config import WindowConfig
from features.lateness.graces import LADDER_MS
from features.lateness.log_histogram import LogHistogram
from features.lateness.measure import Measured
from features.lateness.outliers import Outliers, outliers

QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
OUTCOMES: Final = ("accepted", "amending", "late", "duplicate")
_NS: Final = 1_000_000
_MOST: Final = 10  # symbols and providers of each kind


@dataclass(frozen=True, slots=True)
class GraceRow:
    """The outcomes of the events under a grace.

    Attributes:
        bar_after_ms: the median time from the end of a window until a record closes it; None if none was closed.
    """

    grace_ms: int
    outcomes: Outcomes
    bar_after_ms: float | None

    def share(self, outcome: str) -> float:
        count: int = getattr(self.outcomes, outcome)
        return count / self.outcomes.events

    @property
    def missed(self) -> int:
        """Events that reached a closed window."""
        return self.outcomes.amending + self.outcomes.late


@dataclass(frozen=True, slots=True)
class Report:
    """A measurement of a topic under a config.

    Attributes:
        target: the share of events that may reach a closed window.
        seconds: duration of the reading.
    """

    topic: str
    partitions: int
    window: WindowConfig
    target: float
    measured: Measured
    seconds: float

    @property
    def configured(self) -> GraceRow:
        return self.row(self.window.allow_late_ms)

    @property
    def recommended(self) -> GraceRow | None:
        """The smallest grace tried that meets the target; None if even the longest does not."""
        grace = self.measured.graces.smallest_ms(self.target)
        return None if grace is None else self.row(grace)

    def row(self, grace_ms: int) -> GraceRow:
        waits = self.measured.waits
        after = grace_ms + waits.quantile(0.5) / _NS if len(waits) else None
        return GraceRow(grace_ms, self.measured.graces.outcomes(grace_ms), after)

    def ladder(self) -> list[GraceRow]:
        """The graces to compare, including the configured and the recommended one."""
        recommended = self.recommended
        chosen = {*LADDER_MS, self.window.allow_late_ms} | ({recommended.grace_ms} if recommended else set())
        return [self.row(grace) for grace in sorted(chosen)]

    @property
    def events(self) -> int:
        """The number of valid events, including duplicates."""
        return self.configured.outcomes.events

    @property
    def in_order(self) -> float:
        """Share of the events, without duplicates, that are not older than the newest one before them."""
        return self.measured.lateness.share_below(1_000)

    @property
    def ahead(self) -> float:
        """Share of the events, without duplicates, whose time is after their record's timestamp."""
        return self.measured.delay.share_below(0)

    def symbols(self) -> Outliers:
        """The worst under the configured grace."""
        return outliers(self.measured.tallies, ("provider", "symbol"), _MOST)

    def providers(self) -> Outliers:
        """The worst under the configured grace."""
        return outliers(self.measured.tallies, ("provider",), _MOST)

    def number_of(self, by: tuple[str, ...]) -> int:
        """The number of providers, or of symbols of providers."""
        return pl.concat(self.measured.tallies).n_unique(by)

    def as_json(self) -> dict[str, Any]:
        """The whole report for programs."""
        recommended = self.recommended
        return {
            "topic": self.topic,
            "partitions": self.partitions,
            "window_ms": self.window.window_ms,
            "amend_ms": self.window.amend_ms,
            "events": self.events,
            "rejected": self.measured.rejected,
            "heartbeats": self.measured.heartbeats,
            "lateness": {"in_order": self.in_order, **quantiles(self.measured.lateness)},
            "delay": {"ahead": self.ahead, **quantiles(self.measured.delay)},
            "graces": [_plain(row) for row in self.ladder()],
            "configured_ms": self.window.allow_late_ms,
            "recommended_ms": recommended.grace_ms if recommended else None,
            "target": self.target,
            "symbols": _lists(self.symbols()),
            "providers": _lists(self.providers()),
            "seconds": round(self.seconds, 3),
            "events_per_second": round(self.events / self.seconds),
        }


def quantiles(times: LogHistogram) -> dict[str, float]:
    """Milliseconds by the names of QUANTILES, and the largest."""
    found = {f"{name}_ms": round(times.quantile(share) / _NS, 4) for name, share in QUANTILES.items()}
    return {**found, "max_ms": times.largest / _NS}


def _plain(row: GraceRow) -> dict[str, Any]:
    counts = {name: count for name, count in asdict(row.outcomes).items() if name in OUTCOMES}
    after = None if row.bar_after_ms is None else round(row.bar_after_ms, 3)
    return {"grace_ms": row.grace_ms, **counts, "bar_after_ms": after}


def _lists(worst: Outliers) -> dict[str, list[dict[str, Any]]]:
    frames: dict[str, pl.DataFrame] = {
        "lateness": worst.lateness.with_columns(p99_ms=pl.col("p99_ns") / _NS).drop("p99_ns"),
        "late": worst.late,
        "duplicate": worst.duplicate,
    }
    return {name: frame.to_dicts() for name, frame in frames.items()}
