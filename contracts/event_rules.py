"""The validation rules of Event v1, which work on whole columns and name each error."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.event import FIELDS, KINDS, NEEDED_BY_MARKET, OF_BARS, READ, TICK, TIME_BOUND, WIRE
from contracts.values import MAX_PRICE, MAX_TEXT_BYTES, MAX_VOLUME

_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]

_TEXTS: Final = [name for name in TICK if WIRE[name] == pl.String and name != "kind"]
_PRICES: Final = [name for name in READ if FIELDS[name].schema.get("minimum") == -MAX_PRICE]
_OF_BARS: Final = sorted(OF_BARS, key=lambda name: name not in _PRICES)  # prices first

CONTRACT: Final = "contract"
FUTURE: Final = "future"


def in_time(times: _Ints, record_ts: _Ints, max_future_ns: int) -> _Bools:
    """Which times are within bounds and not too far ahead."""
    return (times >= -TIME_BOUND) & (times <= latest(record_ts, max_future_ns))


def latest(record_ts: _Ints, max_future_ns: int) -> _Ints:
    """The latest valid time; without a record timestamp there is no limit on how far it may be ahead."""
    return np.where(record_ts > 0, np.minimum(record_ts + max_future_ns, TIME_BOUND), TIME_BOUND)


@cache
def accepted(window_ns: int, max_future_ns: int) -> pl.Expr:
    """True for the valid rows of a PARSED frame with interval lengths."""
    violations = [broken for broken, _ in _contract(window_ns)]
    return ~pl.any_horizontal(*violations, _ahead(max_future_ns))


def explain(rows: pl.DataFrame, window_ns: int) -> pl.DataFrame:
    """Columns reason and error for rows that `accepted` refused; the first violated rule counts."""
    explained = rows.select(error=_first_broken(window_ns))
    ahead = pl.lit("src_ts is too far ahead of the record's own timestamp")
    return explained.select(
        reason=pl.when(pl.col("error").is_null()).then(pl.lit(FUTURE)).otherwise(pl.lit(CONTRACT)),
        error=pl.col("error").fill_null(ahead),
    )


@cache
def _first_broken(window_ns: int) -> pl.Expr:
    verdict: Any = pl.when(False).then(pl.lit("", pl.String))
    for broken, error in _contract(window_ns):
        verdict = verdict.when(broken).then(error)
    expression: pl.Expr = verdict.otherwise(None)
    return expression


def _contract(window_ns: int) -> list[tuple[pl.Expr, pl.Expr]]:
    """Pairs of (the rule is violated, the error). A comparison with null violates nothing: `_required` checks nulls."""
    kind = pl.col("kind")
    is_event, is_bar = kind.ne_missing("heartbeat"), kind.eq_missing("bar")
    rules = [
        (pl.col("flaw").is_not_null(), pl.col("flaw")),
        (kind.is_null(), pl.lit("kind is missing")),
        (~kind.is_in(KINDS), pl.lit("kind is none of tick, bar, heartbeat")),
        (pl.col("provider").is_null(), pl.lit("provider is missing")),
        *(_required(name, is_event) for name in NEEDED_BY_MARKET),
        *(_required(name, is_bar) for name in _OF_BARS),
        *(_text(name) for name in _TEXTS),
        (pl.col("src_ts").is_null() & pl.col("src_text").is_null(), pl.lit("src_ts is missing")),
        (pl.col("src_ts").is_null(), pl.lit("src_ts is not an ISO 8601 time with a zone, within 64-bit nanoseconds")),
        (
            ~pl.col("src_ts").is_between(-TIME_BOUND, TIME_BOUND),
            pl.lit("src_ts lies within a year of the end of 64-bit nanoseconds"),
        ),
        *(_number(name, MAX_PRICE) for name in _PRICES),
        _number("v", MAX_VOLUME),
        (pl.col("v") < 0, pl.lit("v is negative")),
        (pl.col("l") > pl.min_horizontal("o", "c", "h"), pl.lit("l is above o, c or h")),
        (pl.col("h") < pl.max_horizontal("o", "c"), pl.lit("h is below o or c")),
        (
            is_bar & _divides(window_ns).not_(),
            pl.lit(f"interval does not divide the window of {window_ns // 10**6} ms"),
        ),
    ]
    return [(broken.fill_null(value=False), error) for broken, error in rules]


def _required(name: str, applies: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    return applies & pl.col(name).is_null(), pl.lit(f"{name} is missing")


def _text(name: str) -> tuple[pl.Expr, pl.Expr]:
    text = pl.col(name)
    length = text.str.len_bytes()
    broken = (length == 0) | (length > MAX_TEXT_BYTES) | text.str.contains("\0", literal=True)
    return broken, pl.lit(f"{name} is empty, longer than {MAX_TEXT_BYTES} bytes or holds a NUL")


def _number(name: str, most: float) -> tuple[pl.Expr, pl.Expr]:
    written = f"{most:g}".replace("+", "")
    return ~(pl.col(name).abs() <= most), pl.lit(f"{name} is not a finite number of at most {written}")


def _divides(window_ns: int) -> pl.Expr:
    return (pl.lit(window_ns, pl.Int64) % pl.col("interval_ns") == 0).fill_null(value=False)


def _ahead(max_future_ns: int) -> pl.Expr:
    """Whether src_ts is too far ahead of the record's timestamp; false without one."""
    return ((pl.col("record_ts") > 0) & (pl.col("src_ts") > pl.col("record_ts") + max_future_ns)).fill_null(value=False)
