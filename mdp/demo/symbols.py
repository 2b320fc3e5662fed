"""The table of symbols, with as many columns as fit the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
from rich.table import Table
from rich.text import Text

from features.rolling.feature_config import FeatureConfig, Kind
from telemetry.printable import printable

_LEVELS: Final = "▁▂▃▄▅▆▇█"
_ROOMY: Final = 100  # cells from which on columns have two spaces in between
_SHORTEST_LINE: Final = 8  # of closes
_LONGEST_LINE: Final = 60
_MILLION: Final = 1_000_000

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table; if not all fit, those with a low `rank` stay."""

    title: str
    width: int
    rank: int
    cell: Callable[[Row], Text]


def table(
    bars: pl.DataFrame, features: pl.DataFrame, configured: Sequence[FeatureConfig], size: tuple[int, int]
) -> Table:
    """The latest bar and features of the first symbols by name, with a sparkline of their closes.

    Args:
        bars: rows of bars_ohlcv, newest first within a symbol.
        features: the newest row of each symbol.
        configured: the features.
        size: available cells, and maximum number of symbols.
    """
    width, symbols = size
    gap = 2 if width >= _ROOMY else 1
    columns = _fitting([*_BAR, *map(_feature, configured)], width - _SHORTEST_LINE, gap)
    length = min(width - sum(column.width + gap for column in columns), _LONGEST_LINE)
    grid = Table.grid(padding=(0, gap, 0, 0), pad_edge=False)
    for column in columns:
        grid.add_column(width=column.width, no_wrap=True, justify="left" if column is columns[0] else "right")
    grid.add_column(width=length, no_wrap=True)
    grid.add_row(*(Text(column.title, style="dim") for column in columns), Text("closes", style="dim"))
    for row in _latest(bars, features, symbols):
        grid.add_row(*(column.cell(row) for column in columns), sparkline(row["closes"], length))
    return grid


def sparkline(values: Sequence[float], length: int) -> Text:
    """The last `length` values as a line of blocks: green if they rose overall, red if they fell."""
    shown = values[-length:]
    if not shown:
        return Text()
    low, high = min(shown), max(shown)
    scale = (len(_LEVELS) - 1) / (high - low) if high > low else 0.0
    blocks = "".join(_LEVELS[round((value - low) * scale)] for value in shown)
    return Text(blocks, style=tone(shown[-1] - shown[0]))


def tone(value: float | None) -> str:
    """The style of a signed number: colours that are readable on light and dark backgrounds."""
    return "" if not value else "green" if value > 0 else "red"


def number(value: float | None, form: str, style: str = "") -> Text:
    """A number; a dash for None."""
    return Text("-", style="dim") if value is None else Text(format(value, form), style=style)


def _latest(bars: pl.DataFrame, features: pl.DataFrame, symbols: int) -> list[Row]:
    if bars.is_empty():
        return []
    newest = pl.all().exclude("symbol").first()
    latest = bars.group_by("symbol", maintain_order=True).agg(newest, closes=pl.col("close").reverse()).sort("symbol")
    if features.height:
        names = [name for name in features.columns if name == "symbol" or name not in latest.columns]
        latest = latest.join(features.select(names), on="symbol", how="left")
    return latest.head(symbols).to_dicts()


def _fitting(columns: Sequence[Column], width: int, gap: int) -> list[Column]:
    """The columns of the lowest ranks that fit, in the order of the table; columns of one rank stay together."""
    lowest = 0
    for rank in sorted({column.rank for column in columns}):
        if sum(column.width + gap for column in columns if column.rank <= rank) > width:
            break
        lowest = rank
    return [column for column in columns if column.rank <= lowest]


def _price(name: str) -> Callable[[Row], Text]:
    return lambda row: number(row[name], ",.2f")


def _close(row: Row) -> Text:
    return number(row["close"], ",.2f", f"bold {tone(row['close'] - row['open'])}")


def _volume(value: float) -> Text:
    return number(value, ",.0f") if value < _MILLION else Text(f"{value / _MILLION:,.1f}M")


def _revision(row: Row) -> Text:
    return number(row["revision"], "d", "magenta" if row["revision"] else "dim")


_BAR: Final = (
    Column("symbol", 6, 0, lambda row: Text(printable(row["symbol"]), style="bold")),
    Column("open", 9, 9, _price("open")),
    Column("high", 9, 9, _price("high")),
    Column("low", 9, 9, _price("low")),
    Column("close", 9, 1, _close),
    Column("volume", 7, 5, lambda row: _volume(row["volume"])),
    Column("vwap", 9, 4, _price("vwap")),
    Column("trades", 6, 6, lambda row: number(row["trades"], ",d")),
    Column("rev", 3, 7, _revision),
)

_FEATURES: Final[dict[Kind, tuple[int, int, str]]] = {  # rank, width, format
    "return": (2, 7, "+.2%"),
    "rsi": (3, 3, ".0f"),
    "momentum": (8, 7, "+.2%"),
    "volatility": (10, 7, ".3%"),
    "vwap": (11, 9, ",.2f"),
    "skewness": (12, 6, "+.2f"),
    "kurtosis": (12, 6, "+.2f"),
}


def _feature(config: FeatureConfig) -> Column:
    rank, width, form = _FEATURES[config.kind]

    def cell(row: Row) -> Text:
        value = row.get(config.name)
        return number(value, form, tone(value) if form.startswith("+") else "")

    return Column(config.name, max(width, len(config.name)), rank, cell)
