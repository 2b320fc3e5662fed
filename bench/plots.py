"""bench/results.json as SVG in docs/images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

from bench.results import load

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
OURS, OTHERS, FLOOR = "#1f6feb", "#8b949e", "#d29922"
LABELS = {
    "us_per_event": "µs per event",
    "close_ms": "ms per closed window",
    "snapshot_mb": "snapshot, MB",
    "snapshot_ms": "snapshot, ms",
    "rss_mb": "resident, MB",
}
# The same results give the same files.
STYLE: dict[RcKeyType, str | bool] = {
    "svg.hashsalt": "mdp",
    "svg.fonttype": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def main() -> None:
    results = load()
    mpl.rcParams.update(STYLE)
    for name, draw in (("contenders", contenders), ("latency", latency), ("growth", growth)):
        if name in results:
            draw(results[name])


def contenders(found: Mapping[str, Any]) -> None:
    names = list(found)[::-1]
    cost = [found[name]["cpu_s_per_m"] for name in names]
    ranges = [found[name]["cpu_s_per_m_range"] for name in names]
    errors = [[value - low for value, (low, _) in zip(cost, ranges, strict=True)]]
    errors.append([high - value for value, (_, high) in zip(cost, ranges, strict=True)])
    colours = {"floor": FLOOR, "bars": OURS, "full": OURS, "arrow": OURS}
    figure, axes = plt.subplots(figsize=(8, 0.5 * len(names) + 0.9))
    bars = axes.barh(names, cost, xerr=errors, color=[colours.get(name, OTHERS) for name in names])
    axes.bar_label(bars, fmt="%.2f", padding=6)
    axes.axvline(found["floor"]["cpu_s_per_m"], color=FLOOR, linestyle=":", zorder=0)
    axes.set_xlabel("CPU seconds per million events (less is better)")
    axes.margins(x=0.12)
    _save(figure, "bench-contenders")


def latency(found: Mapping[str, Any]) -> None:
    quantiles = ("p50", "p90", "p99", "max")
    figure, panels = plt.subplots(1, len(found), figsize=(4 * len(found) + 0.5, 3), squeeze=False)
    for axes, (rate, measured) in zip(panels[0], found.items(), strict=True):
        for shift, (what, colour) in enumerate((("signal_ms", OURS), ("bar_ms", OTHERS))):
            places = [index + 0.4 * shift - 0.2 for index in range(len(quantiles))]
            heights = [measured[what][quantile] for quantile in quantiles]
            axes.bar_label(axes.bar(places, heights, 0.38, color=colour, label=what[:-3]), fmt="%.0f", fontsize=8)
        axes.set_xticks(range(len(quantiles)), quantiles)
        axes.set_title(f"{int(rate):,} events/s")
    panels[0][0].set_ylabel("ms")
    panels[0][0].legend(frameon=False)
    _save(figure, "bench-latency")


def growth(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """A column for each axis; the dotted line is linear growth from the first point."""
    size = (2.6 * len(found), 2.0 * len(LABELS))
    figure, panels = plt.subplots(len(LABELS), len(found), figsize=size, sharex="col", squeeze=False)
    for column, (axis, points) in enumerate(found.items()):
        for line, (name, label) in enumerate(LABELS.items()):
            axes = panels[line][column]
            _grown(axes, [(point["value"], point[name]) for point in points if point.get(name)])
            axes.set_title(axis if line == 0 else "")
            axes.set_ylabel(label if column == 0 else "")
        panels[-1][column].set_xlabel(axis)
    _save(figure, "bench-growth")


def _grown(axes: Axes, points: Sequence[tuple[float, float]]) -> None:
    if not points:
        axes.set_axis_off()
        return
    values, costs = zip(*points, strict=True)
    axes.loglog(values, costs, marker="o", markersize=3, color=OURS)
    axes.loglog(values, [costs[0] * value / values[0] for value in values], linestyle=":", color=OTHERS)


def _save(figure: Figure, name: str) -> None:
    figure.tight_layout()
    figure.savefig(IMAGES / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
