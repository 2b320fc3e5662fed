"""Bars in the making: what a window has taken in so far, and how more is added to it.

An accumulator holds sums as 128-bit integers in units of 1e-9, so that they do not depend on the order of adding, and
the place of its first and last event in the order (src_ts, seq, offset, row), a missing seq first.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from contracts.frames import BARS

KEY: Final = ("provider", "symbol", "window")
_ORDER: Final = {"ts": pl.Int64, "seq": pl.Int64, "offset": pl.Int64, "row": pl.Int64}
_FIRST: Final = [f"first_{name}" for name in _ORDER]
_LAST: Final = [f"last_{name}" for name in _ORDER]

BARS_IN_MAKING: Final = pl.Schema(
    {
        "provider": pl.String,
        "symbol": pl.String,
        "window": pl.Int64,
        **{f"first_{name}": dtype for name, dtype in _ORDER.items()},
        "open": pl.Float64,
        **{f"last_{name}": dtype for name, dtype in _ORDER.items()},
        "close": pl.Float64,
        "high": pl.Float64,
        "low": pl.Float64,
        "volume": pl.Int128,
        "turnover": pl.Int128,
        "trades": pl.Int64,
        "revision": pl.Int64,
    }
)
_SCALE: Final = 1e9


def contributions(rows: pl.DataFrame) -> pl.DataFrame:
    """What each event (KEY, kind, src_ts, o, h, l, c, v, seq, offset, row) adds to its bar, and its place in order."""
    # -0.0 equals 0.0, so which of them is the extreme would depend on how the log was cut.
    rows = rows.with_columns(pl.when(pl.col(name) == 0).then(0.0).otherwise(name).alias(name) for name in "ohlc")
    is_bar = pl.col("kind") == "bar"
    typical = _divided(rows.select(pl.col("h") + pl.col("l") + pl.col("c")).to_series(), 3.0)
    price = pl.when(is_bar).then(typical).otherwise("c")
    return rows.select(
        *KEY,
        pl.col("src_ts").alias("ts"),
        "seq",
        "offset",
        "row",
        pl.when(is_bar).then("o").otherwise("c").alias("open"),
        pl.col("c").alias("close"),
        pl.when(is_bar).then("h").otherwise("c").alias("high"),
        pl.when(is_bar).then("l").otherwise("c").alias("low"),
        _fixed_point(pl.col("v")).alias("volume"),
        _fixed_point(price * pl.col("v")).alias("turnover"),
    )


def gathered(added: pl.DataFrame) -> pl.DataFrame:
    """One accumulator per KEY out of contributions."""
    # The rows come in (offset, row) order, and a stable sort keeps it among equals.
    ordered = added.sort("ts", "seq", maintain_order=True)
    return (
        ordered.group_by(KEY)
        .agg(
            *(pl.col(name).first().alias(f"first_{name}") for name in _ORDER),
            pl.col("open").first(),
            *(pl.col(name).last().alias(f"last_{name}") for name in _ORDER),
            pl.col("close").last(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("volume").sum(),
            pl.col("turnover").sum(),
            pl.len().cast(pl.Int64).alias("trades"),
        )
        .with_columns(revision=pl.lit(0, pl.Int64))
        .select(BARS_IN_MAKING.names())
    )


def _one_each(added: pl.DataFrame) -> pl.DataFrame:
    """Each contribution as an accumulator of its own, with a revision of 1."""
    return added.select(
        *KEY,
        *(pl.col(name).alias(f"first_{name}") for name in _ORDER),
        "open",
        *(pl.col(name).alias(f"last_{name}") for name in _ORDER),
        *("close", "high", "low", "volume", "turnover"),
        *(pl.lit(1, pl.Int64).alias(name) for name in ("trades", "revision")),
    )


def _divided(numbers: pl.Series, divisor: float) -> pl.Series:
    """Correctly rounded: Polars would multiply by the divisor's reciprocal, which differs in the last bit."""
    return pl.Series(numbers.to_numpy() / divisor, dtype=pl.Float64)


def _fixed_point(number: pl.Expr) -> pl.Expr:
    return (number * _SCALE).round(mode="half_to_even").cast(pl.Int128)


def combine(*parts: pl.DataFrame) -> pl.DataFrame:
    """One accumulator per KEY out of many."""
    together = pl.concat(parts)
    ends = (
        together.sort(_FIRST)
        .group_by(KEY)
        .agg(
            *(pl.col(name).first() for name in (*_FIRST, "open")),
            pl.col("high").max(),
            pl.col("low").min(),
            *(pl.col(name).sum() for name in ("volume", "turnover", "trades", "revision")),
        )
    )
    lasts = together.sort(_LAST).group_by(KEY).agg(pl.col(name).last() for name in (*_LAST, "close"))
    return ends.join(lasts, on=KEY).select(BARS_IN_MAKING.names())


def amendments(closed: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """The accumulator after each amending event, in the events' order, revision counted on.

    Running sums and extremes over the contributions of a bar, its closed state first: no step per event.
    """
    added = _one_each(contributions(rows))
    before = closed.join(added.select(KEY).unique(), on=KEY, how="semi").select(BARS_IN_MAKING.names())
    together = pl.concat([before, added]).with_row_index("step")
    firsts, lasts = together.sort(_FIRST), together.sort(_LAST)
    ranked = together.with_columns(
        first_rank=firsts["step"].arg_sort(),
        last_rank=lasts["step"].arg_sort(),
    ).select(
        *KEY,
        pl.col("step"),
        pl.col("first_rank").cum_min().over(KEY),
        pl.col("last_rank").cum_max().over(KEY),
        pl.col("high").cum_max().over(KEY),
        pl.col("low").cum_min().over(KEY),
        *(pl.col(name).cum_sum().over(KEY) for name in ("volume", "turnover", "trades", "revision")),
    )
    ends = [
        *(firsts[name].gather(ranked["first_rank"]) for name in (*_FIRST, "open")),
        *(lasts[name].gather(ranked["last_rank"]) for name in (*_LAST, "close")),
    ]
    return ranked.with_columns(ends).slice(before.height).select(BARS_IN_MAKING.names())


def finished(bars: pl.DataFrame, window_ns: int, interval: str) -> pl.DataFrame:
    """Accumulators with their cause (offset, row) as bars: the integers become floats here, and nowhere else."""
    volume, turnover = bars["volume"].cast(pl.Float64), pl.col("turnover").cast(pl.Float64)
    return bars.select(
        "provider",
        "symbol",
        pl.lit(interval).alias("interval"),
        pl.col("window").alias("window_start"),
        (pl.col("window") + window_ns).alias("window_end"),
        "open",
        "high",
        "low",
        "close",
        _divided(volume, _SCALE).alias("volume"),
        pl.when(pl.col("volume") != 0).then(turnover / pl.col("volume").cast(pl.Float64)).alias("vwap"),
        "trades",
        "revision",
        "offset",
        "row",
    ).match_to_schema(BARS)
