"""A report as an SVG: the distributions, and the events that each grace misses."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from mdp.ops.lateness.report import Report
from mdp.ops.lateness.view import span

_LATENESS, _DELAY, _AMENDING, _LATE, _MARK = "#1f6feb", "#8b949e", "#d29922", "#cf222e", "#2da44e"
_NS: Final = 1_000_000


def save_svg(report: Report, path: Path) -> None:
    """Draw the report.

    Raises:
        OSError: the file cannot be written.
    """
    # The same measurement gives the same file; text is kept as text.
    with mpl.rc_context({"svg.hashsalt": "mdp", "svg.fonttype": "none"}):
        figure = Figure(figsize=(10, 4), layout="constrained")
        left, right = figure.subplots(1, 2)
        _distributions(left, report)
        _graces(right, report)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _distributions(axes: Any, report: Report) -> None:
    for name, times, colour in (
        ("lateness", report.measured.lateness, _LATENESS),
        ("delay from event to Kafka", report.measured.delay, _DELAY),
    ):
        edges, exceeded = times.exceeded()
        seen = exceeded > 0
        if seen.any():
            axes.plot(edges[seen] / _NS, 100 * exceeded[seen], color=colour, label=name)
    _finish(axes, "how late events are", "time", "share of events with more")


def _graces(axes: Any, report: Report) -> None:
    graces = np.array(report.measured.graces.all_ms)
    rows = [report.row(grace).outcomes for grace in graces.tolist()]
    for name, colour in (("amending", _AMENDING), ("late", _LATE)):
        shares = 100 * np.array([getattr(row, name) for row in rows]) / report.events
        shown = (shares > 0) & (graces > 0)
        if shown.any():
            axes.plot(graces[shown], shares[shown], color=colour, label=name)
    if report.target:
        label = f"target, {100 * report.target:g} %"
        axes.axhline(100 * report.target, color=_MARK, linestyle=":", linewidth=1, label=label)
    recommended = report.recommended
    if recommended is not None and recommended.grace_ms:
        label = f"recommended, {span(recommended.grace_ms)}"
        axes.axvline(recommended.grace_ms, color=_MARK, linewidth=1, label=label)
    configured = report.window.allow_late_ms
    if configured:
        axes.axvline(configured, color="black", linestyle="--", linewidth=1, label=f"configured, {span(configured)}")
    _finish(axes, "events that reach a closed window", "grace (allow_late_ms)", "events")


def _finish(axes: Any, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=10)
    if not axes.lines:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "nothing is above 0", ha="center", transform=axes.transAxes)
        return
    axes.set(xscale="log", yscale="log", xlabel=x, ylabel=y)
    axes.xaxis.set_major_formatter(lambda milliseconds, _: span(milliseconds))
    axes.yaxis.set_major_formatter(lambda percent, _: f"{percent:g} %")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
