"""A report for the terminal: tables, and a plot of the distributions of times."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import polars as pl
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from features.lateness.log_histogram import LogHistogram
from features.lateness.outliers import LEAST_EVENTS, Outliers
from mdp.ops.lateness.report import OUTCOMES, QUANTILES, GraceRow, Report
from telemetry.printable import printable

_NS: Final = 1_000_000
_UNITS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms"))
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_BAR: Final = 24  # cells
_DECADES: Final = 5  # spanned by a bar, up to 100 %
_EDGES: Final = (  # of the plot, in milliseconds
    *(step * 10.0**power for power in range(-3, 4) for step in (1, 2, 5)),
    *(10_000, 20_000, 60_000, 120_000, 300_000, 600_000, 1_200_000),
    *(3_600_000 * hours for hours in (1, 2, 6, 12, 24, 48, 168, 720, 8_760)),
)
_EVER: Final = 9e18  # nanoseconds
_RECOMMENDED, _CONFIGURED = "▸", "•"


def view(report: Report) -> RenderableType:
    """The whole report."""
    return Group(_title(report), _times(report), _plot(report), _ladder(report), _advice(report), *_outliers(report))


def span(milliseconds: float) -> str:
    """A duration in a suitable unit."""
    size = abs(milliseconds)
    factor, unit = next(((factor, unit) for factor, unit in _UNITS if size >= factor), (1, "ms"))
    value = milliseconds / factor
    return f"{value:.0f} {unit}" if abs(value) >= 100 else f"{value:.3g} {unit}"


def percent(share: float) -> str:
    """A share as a percentage, small ones with two digits."""
    return f"{100 * share:.2f} %" if share >= 0.000_1 or share == 0 else f"{100 * share:.1g} %"


def _title(report: Report) -> Text:
    measured, window = report.measured, report.window
    windows = f"windows of {span(window.window_ms)}, amended for {span(window.amend_ms)}"
    partitions = f"{report.partitions} partition{'s' * (report.partitions > 1)}"
    return Text.assemble(
        (printable(report.topic), "bold"),
        f": {report.events:,} events in {partitions}, besides {measured.rejected:,} rejected and "
        f"{measured.heartbeats:,} heartbeats; {windows}\n",
    )


def _table(*columns: str, left: int = 1) -> Table:
    table = Table(header_style="bold", box=None, padding=(0, 1, 0, 0))
    for place, name in enumerate(columns):
        table.add_column(name, justify="left" if place < left else "right", no_wrap=place >= left, overflow="fold")
    return table


def _times(report: Report) -> Table:
    """Quantiles of lateness and delay."""
    table = _table("", *QUANTILES, "largest", "")
    measured = report.measured
    for name, times, remark in (
        ("lateness: behind the newest event before", measured.lateness, f"{percent(report.in_order)} in order"),
        ("delay: from event to Kafka", measured.delay, f"{percent(report.ahead)} ahead of it"),
    ):
        found = [times.quantile(share) / _NS for share in QUANTILES.values()]
        table.add_row(name, *map(span, [*found, times.largest / _NS]), remark)
    return table


def _plot(report: Report) -> Table:
    """The shares of events by lateness and delay, on a scale for small shares."""
    table = _table("\nof all events", "\nlateness", "", "\ndelay", "", left=1)
    for column in (2, 4):
        table.columns[column].justify = "left"
    measured = report.measured
    for label, below, above in _intervals([measured.lateness, measured.delay]):
        cells: list[str] = []
        for times in (measured.lateness, measured.delay):
            share = times.share_below(above) - times.share_below(below)
            cells += [percent(share) if share else "", _bar(share)]
        table.add_row(label, *cells)
    table.caption = f"bars are logarithmic: from {10.0 ** (2 - _DECADES):g} % to 100 %"
    table.caption_justify = "left"
    return table


def _intervals(times: Sequence[LogHistogram]) -> Iterator[tuple[str, float, float]]:
    """Yields (label, from, to) in nanoseconds of non-empty intervals, in ascending order."""
    edges = [-_EVER, 0, 1_000, *(edge * _NS for edge in _EDGES), _EVER]
    labels = ["below 0", "0", *(f"< {span(edge)}" for edge in _EDGES), "more"]
    for label, (below, above) in zip(labels, pairwise(edges), strict=True):
        if any(one.share_below(below) < one.share_below(above) for one in times):
            yield label, below, above


def _bar(share: float) -> str:
    """A bar in eighths of a cell, by the logarithm of the share."""
    if share <= 0:
        return ""
    eighths = max(round(8 * _BAR * (1 + math.log10(share) / _DECADES)), 1)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _ladder(report: Report) -> Table:
    """The outcomes of the events under each grace."""
    columns = [text for name in OUTCOMES for text in (name, "%")]
    table = _table("\n", "\ngrace", *(f"\n{name}" for name in columns), "\nbar after")
    recommended = report.recommended
    for row in report.ladder():
        is_recommended = recommended is not None and row.grace_ms == recommended.grace_ms
        mark = (_RECOMMENDED if is_recommended else "") + (
            _CONFIGURED if row.grace_ms == report.window.allow_late_ms else ""
        )
        cells = [text for name in OUTCOMES for text in _counted(row, name)]
        after = "-" if row.bar_after_ms is None else span(row.bar_after_ms)
        table.add_row(mark, span(row.grace_ms), *cells, after, style="bold" if mark else "")
    table.caption = f"{_CONFIGURED} configured  {_RECOMMENDED} recommended; bar after: the end of its window, typically"
    table.caption_justify = "left"
    return table


def _counted(row: GraceRow, outcome: str) -> tuple[str, str]:
    return f"{getattr(row.outcomes, outcome):,}", percent(row.share(outcome)).removesuffix(" %")


def _advice(report: Report) -> Text:
    """The recommended grace, its cost and its benefit."""
    now, best, events = report.configured, report.recommended, report.events
    missed = f"under the configured {span(now.grace_ms)}, {now.missed:,} ({percent(now.missed / events)}) do"
    if best is None:
        longest = report.measured.graces.longest_ms
        return Text.assemble(
            (f"\nNo grace up to {span(longest)} is recommended: ", "bold"),
            f"under all of them more than {percent(report.target)} of the events reach a closed window; {missed}.\n",
        )
    change = best.grace_ms - now.grace_ms
    cost = "no change" if not change else f"bars come {span(abs(change))} {'later' if change > 0 else 'sooner'}"
    return Text.assemble(
        (f"\nRecommended: micro_batch.allow_late_ms={best.grace_ms}", "bold green"),
        f", the smallest grace under which at most {percent(report.target)} of the events reach a closed window: "
        f"{best.missed:,} do ({percent(best.missed / events)}); {missed}. The cost: {cost}.\n",
    )


def _outliers(report: Report) -> Iterator[RenderableType]:
    """The worst symbols and providers, where there are several."""
    for by, worst in ((("provider", "symbol"), report.symbols()), (("provider",), report.providers())):
        tables = list(_worst(by, worst))
        if tables and report.number_of(by) > 1:
            yield Text(f"\nWorst {by[-1]}s, of those with {LEAST_EVENTS} events or more", style="bold")
            yield Columns(tables, padding=(0, 4))


def _worst(by: tuple[str, ...], worst: Outliers) -> Iterator[Table]:
    for name, frame, title in (
        ("p99_ns", worst.lateness, "p99 lateness"),
        ("share", worst.late, "late"),
        ("share", worst.duplicate, "duplicate"),
    ):
        if frame.height:
            yield _ranked(by, frame, name, title)


def _ranked(by: tuple[str, ...], frame: pl.DataFrame, figure: str, title: str) -> Table:
    table = _table(*by, "events", title, left=len(by))
    for *names, events, value in frame.iter_rows():
        shown = span(value / _NS) if figure == "p99_ns" else percent(value)
        table.add_row(*(Text(printable(name)) for name in names), f"{events:,}", shown)
    return table
