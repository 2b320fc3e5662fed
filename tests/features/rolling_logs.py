"""Logs of bars to feed to rolling features, and what must come out for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import polars as pl
from hypothesis import strategies as st

from contracts import frames
from features.rolling.feature_config import FeatureConfig, Kind
from tests.oracle_features import Bar, features_at

WINDOW = 2_000_000_000
KINDS: tuple[Kind, ...] = ("vwap", "return", "volatility", "momentum", "rsi", "skewness", "kurtosis")


def feature(kind: Kind, windows: int) -> FeatureConfig:
    return FeatureConfig(name=f"{kind}_{windows}", kind=kind, horizon=f"{2 * windows}s")


def row(
    slot: int,
    close: float,
    *,
    symbol: str = "A",
    provider: str = "p",
    volume: float = 1.0,
    vwap: float | None = None,
    revision: int = 0,
    offset: int | None = None,
) -> dict[str, Any]:
    """One bar of the window that ends at `slot` windows after the epoch."""
    price = close if vwap is None else vwap
    return {
        "provider": provider,
        "symbol": symbol,
        "interval": "2s",
        "window_start": (slot - 1) * WINDOW,
        "window_end": slot * WINDOW,
        **dict.fromkeys(("open", "high", "low", "close"), close),
        "volume": volume,
        "vwap": price if volume > 0 else None,
        "buy_volume": volume / 2,
        "sell_volume": None,
        "trades": 1,
        "revision": revision,
        "offset": slot if offset is None else offset,
        "row": 0,
    }


def frame(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=frames.BARS, orient="row")


def expected(rows: Sequence[dict[str, Any]], features: Sequence[FeatureConfig]) -> list[dict[str, Any]]:
    """Features of every close, from the bars known to the oracle at that place of the log."""
    known: defaultdict[tuple[str, str], dict[int, Bar]] = defaultdict(dict)
    made = []
    for bar in rows:
        bars, end = known[bar["provider"], bar["symbol"]], bar["window_end"]
        bars[end] = Bar(end, bar["close"], bar["volume"], bar["vwap"])
        if bar["revision"] == 0:
            kept = {name: bar[name] for name in ("provider", "symbol", "interval", *frames.BAR_VALUES, *frames.CAUSE)}
            made.append(kept | {"ts": end} | features_at(bars.values(), features, WINDOW, end))
    return made


def bits(made: pl.DataFrame) -> dict[str, tuple[list[bool], bytes | list[Any]]]:
    """A frame's nulls and values, floats to the last bit and with the sign of zero."""
    return {
        column.name: (
            column.is_null().to_list(),
            column.fill_null(0.0).to_numpy().tobytes() if column.dtype == pl.Float64 else column.to_list(),
        )
        for column in made
    }


symbols: st.SearchStrategy[str] = st.sampled_from(["A", "AB", "ABC", "B", "C"])  # those of one close
configs: st.SearchStrategy[list[FeatureConfig]] = st.lists(
    st.builds(feature, st.sampled_from(KINDS), st.integers(5, 7)), min_size=1, max_size=7, unique=True
)


@st.composite
def logs(draw: st.DrawFn, amendable: int, steps: int = 40) -> list[dict[str, Any]]:
    """Closes and amendments, none older than `amendable` windows before the watermark; some windows close twice."""
    watermark = {"p": 1_000, "q": 2_000}
    rows: list[dict[str, Any]] = []
    offset = 0
    for step in range(draw(st.integers(1, steps))):
        provider = draw(st.sampled_from(["p", "p", "p", "q"]))
        slot, revision = watermark[provider], 0
        action = draw(st.sampled_from(["close"] * 5 + ["close nothing", "close again", "amend", "amend"]))
        if action in ("amend", "close again"):
            slot, revision = slot - draw(st.integers(0, amendable)), step + 1 if action == "amend" else 0
        else:
            slot += draw(st.sampled_from([1] * 12 + [2, 3, 9, 13, 14, 15, 40]))
            watermark[provider] = slot
        offset += action == "close again" or step % 2  # one event can close several windows
        closing = "" if action == "close nothing" else draw(symbols)
        rows += [_bar(slot, provider, symbol, revision, offset, draw(numbers)) for symbol in closing]
    return rows


numbers: st.SearchStrategy[int] = st.integers(0, 300)


def _bar(slot: int, provider: str, symbol: str, revision: int, offset: int, number: int) -> dict[str, Any]:
    """A bar whose price, at times 0 or negative, and volume, at times 0, follow from one number: so drawing is fast."""
    return row(
        slot,
        number * 0.37 if number % 17 else -number / 2,
        symbol=symbol,
        provider=provider,
        volume=number % 5 * 0.3,
        vwap=number * 0.31,
        revision=revision,
        offset=offset,
    )
