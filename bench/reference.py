"""The reference bars of a market, and their comparison with a contender's bars."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import psycopg

from bench.topic import market

WINDOW = "2s"
GRACE_NS = 500_000_000
KEYS = ("symbol", "window_start")
_EXACT = ("open", "high", "low", "close", "volume", "trades")
_VWAP_TOLERANCE = 1e-9  # relative: contenders may add in any order


@dataclass(frozen=True)
class Verdict:
    """The differences between a contender's bars and the reference."""

    bars: int
    missing: int
    extra: int
    wrong: int
    volume_lost: float

    @property
    def exact(self) -> bool:
        return not (self.missing or self.extra or self.wrong)


def write(file: str, count: int, start: int) -> int:
    """Writes the bars of a market to a Parquet file, and returns how many records the market has."""
    wanted = ("symbol", "src_ts", "seq", "c", "v", "event_id")
    events = pl.concat([chunk.select(wanted) for chunk in market(count, start)])
    bars(events).write_parquet(file)
    return events.height


def bars(events: pl.DataFrame) -> pl.DataFrame:
    """One row per symbol and window, `closed` if the symbol has an event after the window's grace."""
    once = events.unique("event_id", keep="first", maintain_order=True).sort("src_ts", "seq")
    ended = pl.col("src_ts").max().over("symbol") - GRACE_NS
    return (
        once.with_columns(ended=pl.from_epoch(ended, "ns").dt.replace_time_zone("UTC"))
        .with_columns(pl.from_epoch("src_ts", "ns").dt.replace_time_zone("UTC").dt.cast_time_unit("us"))
        .group_by("symbol", window_start=pl.col("src_ts").dt.truncate(WINDOW), maintain_order=True)
        .agg(
            open=pl.col("c").first(),
            high=pl.col("c").max(),
            low=pl.col("c").min(),
            close=pl.col("c").last(),
            volume=pl.col("v").sum(),
            vwap=(pl.col("c") * pl.col("v")).sum() / pl.col("v").sum(),
            trades=pl.len().cast(pl.Int64),
            ended=pl.col("ended").first(),
        )
        .with_columns(closed=pl.col("window_start").dt.offset_by(WINDOW) <= pl.col("ended"))
        .drop("ended")
    )


def judge(conninfo: str, table: str, file: str, *, closed_only: bool = False) -> Verdict:
    """Compares a contender's table with the reference.

    Args:
        closed_only: for a contender that leaves windows open that no later event closes.
    """
    expected = pl.read_parquet(file)
    if closed_only:
        expected = expected.filter("closed")
    return compare(expected, _written(conninfo, table))


def compare(expected: pl.DataFrame, found: pl.DataFrame) -> Verdict:
    both = expected.join(found, on=KEYS, suffix="_found")
    differs = [pl.col(name) != pl.col(f"{name}_found") for name in _EXACT]
    vwap = (pl.col("vwap") - pl.col("vwap_found")).abs() > _VWAP_TOLERANCE * pl.col("vwap").abs()
    return Verdict(
        bars=found.height,
        missing=expected.height - both.height,
        extra=found.height - both.height,
        wrong=both.filter(pl.any_horizontal(*differs, vwap)).height,
        volume_lost=1 - float(found["volume"].sum()) / float(expected["volume"].sum()),
    )


def rows(conninfo: str, table: str) -> int:
    """The row count of a table."""
    with psycopg.connect(conninfo) as connection:
        (count,) = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() or (0,)
    return int(count)


def _written(conninfo: str, table: str) -> pl.DataFrame:
    columns = [*KEYS, "open", "high", "low", "close", "volume", "vwap", "trades"]
    selected = ", ".join(columns).replace("window_start", "window_start::timestamptz")
    schema = dict.fromkeys(columns, pl.Float64) | {
        "symbol": pl.String(),
        "window_start": pl.Datetime("us", "UTC"),
        "trades": pl.Int64(),
    }
    with psycopg.connect(conninfo, options="-c timezone=UTC") as connection:
        found = connection.execute(f"SELECT {selected} FROM {table}".encode()).fetchall()
    return pl.DataFrame(found, schema, orient="row")
