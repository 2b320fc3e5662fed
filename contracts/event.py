"""Event v1: what a record on the events topic holds, and what makes a row of it acceptable."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

VERSION: Final = 1
MAX_PRICE: Final = 1e15
MAX_VOLUME: Final = 1e18
MAX_TEXT_BYTES: Final = 256
BAR: Final = "bar"
KINDS: Final = ("tick", BAR, "heartbeat")

# A window around a time this close to the end of int64 would not fit: a year is far more than any window.
TIME_BOUND: Final = 2**63 - 1 - 366 * 86_400 * 10**9

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class Event(msgspec.Struct, gc=False):
    """The fields of Event v1 that the pipeline reads of every kind; others are skipped unread.

    Everything is optional here, so that a missing field is reported by name, together with whatever else is wrong,
    by the rules below, which look at whole columns.
    """

    provider: str | None = None
    symbol: str | None = None
    kind: str | None = None
    src_ts: str | None = None
    c: float | None = None
    v: float | None = None
    seq: Int64 | None = None
    event_id: str | None = None
    ver: Literal[1] = 1


class BarEvent(Event, gc=False):
    """What is read of an event of kind bar. Other kinds may carry these fields: nothing looks at them."""

    interval: str | None = None
    o: float | None = None
    h: float | None = None
    l: float | None = None


# Where a row came from: the index of its record in the fetch, its place in the log, the record's own timestamp.
PLACE: Final = {"record": pl.Int64, "offset": pl.Int64, "row": pl.Int64, "record_ts": pl.Int64}

# Of the columns below, `src_ts` holds nanoseconds, and null where the text of the record, in `src_text`, is no time;
# `flaw` says what the other columns cannot show to be wrong.
PARSED: Final = pl.Schema(
    {
        **PLACE,
        "provider": pl.String,
        "symbol": pl.String,
        "kind": pl.String,
        "interval": pl.String,  # like o, h and l, of bars only
        "src_text": pl.String,
        "o": pl.Float64,
        "h": pl.Float64,
        "l": pl.Float64,
        "c": pl.Float64,
        "v": pl.Float64,
        "seq": pl.Int64,
        "event_id": pl.String,
        "flaw": pl.String,
        "src_ts": pl.Int64,
    }
)

_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]

CONTRACT: Final = "contract"
FUTURE: Final = "future"


def in_time(times: _Ints, record_ts: _Ints, max_future_ns: int) -> _Bools:
    """Where a time is within bounds and not too far ahead."""
    return (times >= -TIME_BOUND) & (times <= latest(record_ts, max_future_ns))


def latest(record_ts: _Ints, max_future_ns: int) -> _Ints:
    """Up to when a time is in bounds; a record without a timestamp of its own cannot judge what is too far ahead."""
    return np.where(record_ts > 0, np.minimum(record_ts + max_future_ns, TIME_BOUND), TIME_BOUND)


@cache
def accepted(window_ns: int, max_future_ns: int) -> pl.Expr:
    """True for the rows of a PARSED frame, with interval lengths, that may enter the pipeline."""
    violations = [broken for broken, _ in _contract(window_ns)]
    return ~pl.any_horizontal(*violations, _ahead(max_future_ns))


def explain(rows: pl.DataFrame, window_ns: int) -> pl.DataFrame:
    """Columns reason and error for rows that `accepted` refused; the first broken rule speaks."""
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
    """Pairs of (the rule is broken, what to say). A null in a comparison breaks nothing: `_required` minds nulls."""
    kind = pl.col("kind")
    is_event, is_bar = kind.ne_missing("heartbeat"), kind.eq_missing("bar")
    rules = [
        (pl.col("flaw").is_not_null(), pl.col("flaw")),
        (kind.is_null(), pl.lit("kind is missing")),
        (~kind.is_in(KINDS), pl.lit("kind is none of tick, bar, heartbeat")),
        (pl.col("provider").is_null(), pl.lit("provider is missing")),
        *(_required(name, is_event) for name in ("symbol", "c", "v")),
        *(_required(name, is_bar) for name in ("o", "h", "l", "interval")),
        *(_text(name) for name in ("provider", "symbol", "event_id")),
        (pl.col("src_ts").is_null() & pl.col("src_text").is_null(), pl.lit("src_ts is missing")),
        (pl.col("src_ts").is_null(), pl.lit("src_ts is not an ISO 8601 time with a zone, within 64-bit nanoseconds")),
        (
            ~pl.col("src_ts").is_between(-TIME_BOUND, TIME_BOUND),
            pl.lit("src_ts lies within a year of the end of 64-bit nanoseconds"),
        ),
        *(_number(name, MAX_PRICE) for name in ("o", "h", "l", "c")),
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
    """A record without a timestamp of its own cannot be judged, and is not."""
    return ((pl.col("record_ts") > 0) & (pl.col("src_ts") > pl.col("record_ts") + max_future_ns)).fill_null(value=False)
