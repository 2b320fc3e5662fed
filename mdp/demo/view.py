"""The live view: input, outcomes, the symbols, and their latest signals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import polars as pl
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from features.rolling.feature_config import FeatureConfig
from mdp.demo.observer import Snapshot
from mdp.demo.symbols import table
from telemetry.printable import printable

_WIDE: Final = 112  # cells from which on all figures fit one row
_AIRY: Final = 28  # lines from which on there are blank lines
_MARGIN: Final = 1
_GAP: Final = 2
_FEWEST_SIGNALS: Final = 3
_SIGNAL_WIDTH: Final = 56

Figure = tuple[str, str, str]  # label, value, style


class View:
    """A snapshot, sized to the terminal it is printed on.

    Args:
        snapshot: the state to show.
        features: the configured features.
        title: the phase of the run.
        remark: what the user can do.
    """

    def __init__(self, snapshot: Snapshot, features: Sequence[FeatureConfig], title: str, remark: str) -> None:
        self.snapshot = snapshot
        self.title = title
        self._features = features
        self._remark = remark

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width - 2 * _MARGIN
        height = options.height or console.height
        figures = _all_figures(self.snapshot, width)
        air: list[RenderableType] = [""] if height >= _AIRY else []
        symbols = self.snapshot.bars["symbol"].n_unique() if self.snapshot.bars.height else 0
        # Fixed lines: the head, the figures, two rules, the head of the table.
        room = height - (1 + 2 * len(figures) + 2 + 1) - 3 * len(air)
        shown = max(1, min(symbols, room - _FEWEST_SIGNALS))
        more = f", {symbols - shown} more symbols" if symbols > shown else ""
        parts = [
            _head(self.title, self._remark),
            *air,
            *(_figures(row) for row in figures),
            *air,
            _rule(f"last bar and features of each symbol{more}"),
            table(self.snapshot.bars, self.snapshot.features, self._features, (width, shown)),
            *air,
            _rule("latest signals"),
            _signals(self.snapshot.signals, max(1, room - shown), width),
        ]
        yield Padding(Group(*parts), (0, _MARGIN))


def _head(title: str, remark: str) -> Table:
    grid = Table.grid(expand=True)
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, justify="right")
    grid.add_row(Text.assemble(("mdp demo", "bold cyan"), "  ", ("●", "green"), " ", title), Text(remark, style="dim"))
    return grid


def _rule(title: str) -> Rule:
    return Rule(Text(title, style="cyan"), style="dim", align="left")


def _all_figures(snapshot: Snapshot, width: int) -> list[list[Figure]]:
    flow, became, stored = _flow(snapshot), _outcome_figures(snapshot), _stored(snapshot)
    return [[*flow, *became, *stored]] if width >= _WIDE else [[*flow, *stored], became]


def _flow(snapshot: Snapshot) -> list[Figure]:
    return [
        ("events/s", f"{snapshot.rate:,.0f}", "bold cyan"),
        ("sent", f"{snapshot.sent.total:,}", "bold"),
        ("lag", f"{snapshot.in_flight:,}", ""),
        ("watermark", "-" if snapshot.delay is None else f"-{snapshot.delay:.1f} s", ""),
    ]


def _outcome_figures(snapshot: Snapshot) -> list[Figure]:
    outcomes = snapshot.outcomes
    return [
        ("accepted", f"{outcomes.accepted:,}", "bold green"),
        ("amended", f"{outcomes.amending:,}", "bold magenta"),
        ("duplicate", f"{outcomes.duplicate:,}", "bold blue"),
        ("late", f"{outcomes.late:,}", "bold dark_orange3"),
        ("rejected", f"{outcomes.rejected:,}", "bold red"),
    ]


def _stored(snapshot: Snapshot) -> list[Figure]:
    names = {"bars_ohlcv": "bars", "features": "features", "signals": "signals"}
    return [(label, f"{snapshot.rows.get(name, 0):,}", "bold") for name, label in names.items()]


def _figures(figures: Sequence[Figure]) -> Table:
    grid = Table.grid(expand=True)
    for _ in figures:
        grid.add_column(ratio=1, no_wrap=True)
    grid.add_row(*(Text(value, style=style) for _, value, style in figures))
    grid.add_row(*(Text(label, style="dim") for label, _, _ in figures))
    return grid


def _signals(signals: pl.DataFrame, rows: int, width: int) -> RenderableType:
    if signals.is_empty():
        return Text("none yet: they need some seconds of history", style="dim")
    columns = max(1, width // _SIGNAL_WIDTH)
    newest = signals.sort(["ts", "symbol", "name"], descending=[True, False, False]).head(rows * columns)
    grid = Table.grid(expand=True)
    for _ in range(columns):
        grid.add_column(ratio=1)
    grid.add_row(*(_signal_column(newest.slice(first, rows)) for first in range(0, rows * columns, rows)))
    return grid


def _signal_column(signals: pl.DataFrame) -> Table:
    grid = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
    for name in ("time", "symbol", "value", "name", "price", "score"):
        grid.add_column(no_wrap=True, justify="right" if name in ("price", "score") else "left")
    for signal in signals.iter_rows(named=True):
        grid.add_row(*_signal(signal))
    return grid


def _signal(signal: dict[str, Any]) -> list[Text]:
    value = signal["value"] or 0.0
    price = json.loads(signal["meta"] or "{}").get("price")
    sign, style = ("▲", "green") if value > 0 else ("▼", "red") if value < 0 else ("●", "dark_orange3")
    return [
        Text(f"{signal['ts']:%H:%M:%S}", style="dim"),
        Text(printable(signal["symbol"]), style="bold"),
        Text(f"{sign} {value:+.1f}" if value else sign, style=style),
        Text(printable(signal["name"])),
        Text("" if price is None else f"{price:,.2f}", style="dim"),
        Text(f"{signal['score']:.2f}", style="dim"),
    ]
