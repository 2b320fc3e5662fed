"""What columns are, by their values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import polars as pl

from connectors.files.cells import as_type
from connectors.files.times import Times, WrittenTimes
from contracts.duration import format_duration

OHLC: Final = ("open", "high", "low", "close")

_FROM: Final = 631_152_000_000_000_000  # 1990, in nanoseconds since the epoch
_TO: Final = 4_102_444_800_000_000_000  # 2100
_FORMS: Final = (
    "%Y%m%d %H:%M:%S%.f", "%Y%m%d %H:%M", "%Y%m%d %H%M%S", "%Y.%m.%d %H:%M:%S%.f", "%Y.%m.%d %H:%M",
    "%Y/%m/%d %H:%M:%S%.f", "%d.%m.%Y %H:%M:%S%.f", "%m/%d/%Y %H:%M:%S%.f", "%d/%m/%Y %H:%M:%S%.f",
)  # fmt: skip
_DIGITS: Final = {13: "ms", 16: "us", 19: "ns", 10: "s"}  # of times between 2001 and 2286
_SIDES: Final[Sequence[Mapping[str, str | None]]] = (
    {"b": "buy", "s": "sell"},
    {"B": "buy", "S": "sell"},
    {"BUY": "buy", "SELL": "sell"},
    {"Buy": "buy", "Sell": "sell"},
    {"A": "sell", "B": "buy", "N": None},
    {"ask": "sell", "bid": "buy"},
)
_MAKER: Final = "maker"
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9./:_-]{0,31}")
_SPREAD: Final = 3  # prices of a file's first rows are within this factor
_SHARE: Final = 20  # a symbol is in as many rows on average


def time_of(column: pl.Series) -> dict[str, str] | None:
    """How a column is read as times; None if it holds others than those from 1990 to 2100."""
    filled = column.drop_nulls().alias("time")
    if filled.is_empty():
        return None
    times = Times("time", None, "UTC")
    if _are_times(times.read(filled)):
        if times.unit is not None:
            return {"unit": times.unit}
        is_aware = _are_times(Times("time", None, None).read(filled))
        return {} if is_aware else {"zone": "UTC"}
    if filled.dtype != pl.String:
        return None
    form = next((form for form in _FORMS if _are_times(WrittenTimes("time", form, "UTC").read(filled))), None)
    return None if form is None else {"format": form, "zone": "UTC"}


def _are_times(read: tuple[pl.Series, pl.Series]) -> bool:
    values, wrong = read
    return wrong.null_count() == len(wrong) and bool(values.is_between(_FROM, _TO).all())


def interval_of(column: pl.Series, how: Mapping[str, Any]) -> str | None:
    """The length of bars: the time that most often lies between one and the next."""
    form = how.get("format")
    times = WrittenTimes("time", form, "UTC") if form else Times("time", how.get("unit"), "UTC")
    steps = times.read(column.alias("time"))[0].diff().drop_nulls()
    steps = steps.filter(steps > 0)
    if steps.is_empty():
        return None
    return format_duration(int(steps.mode().min()))  # type: ignore[arg-type]


def side_of(name: str, column: pl.Series) -> Mapping[Any, str | None] | None:
    """What stands for which side; empty if the words are buy and sell themselves, None if they are not known."""
    words = set(column.drop_nulls().cast(pl.String).str.strip_chars().unique().to_list())
    if words <= {"buy", "sell"}:
        return {}
    if {word.casefold() for word in words} <= {"true", "false"} and (_MAKER in name.casefold() or len(name) <= 2):
        return {True: "sell", False: "buy"}
    return next((known for known in _SIDES if words <= known.keys()), None)


def roles_of_values(rows: pl.DataFrame) -> dict[str, str]:
    """The roles of columns without names."""
    numbers = {name: _numbers(rows[name]) for name in rows.columns}
    found: dict[str, str] = {}
    time = _time_column(rows, numbers)
    if time is not None:
        found["time"] = time
    left = [name for name in rows.columns if name != time]
    found |= _words(rows, [name for name in left if numbers[name] is None])
    numeric = {name: values for name in left if (values := numbers[name]) is not None}
    bars = _bars(numeric)
    if bars:
        after = [name for name in numeric if int(name) > int(bars["close"])]
        return {**found, **bars, **({"volume": after[0]} if after else {})}
    return found | _ticks(numeric)


def _numbers(column: pl.Series) -> pl.Series | None:
    values, wrong = as_type(column, pl.Float64())
    return values if wrong.null_count() == len(wrong) and values.null_count() < len(values) else None


def _time_column(rows: pl.DataFrame, numbers: Mapping[str, pl.Series | None]) -> str | None:
    """Written times go before numbers, and numbers of many digits before those of seconds."""
    fits = [name for name in rows.columns if time_of(rows[name]) is not None]
    written = [name for name in fits if numbers[name] is None]
    lengths = {name: len(str(rows[name].drop_nulls()[0]).partition(".")[0]) for name in fits}
    by_digits = [name for digits in _DIGITS for name in fits if lengths[name] == digits]
    return next(iter([*written, *by_digits]), None)


def _words(rows: pl.DataFrame, columns: Sequence[str]) -> dict[str, str]:
    """A column of two or three known words is the side; one of few names is the symbol."""
    found: dict[str, str] = {}
    for name in columns:
        words = rows[name].drop_nulls().cast(pl.String).unique().to_list()
        if "side" not in found and side_of("m", rows[name]) is not None:
            found["side"] = name
        elif "symbol" not in found and _are_symbols(words, rows.height):
            found["symbol"] = name
    return found


def _are_symbols(words: Sequence[str], rows: int) -> bool:
    are_names = all(_NAME.fullmatch(word) and word.casefold() not in ("true", "false") for word in words)
    return bool(words) and are_names and len(words) * _SHARE <= rows + _SHARE


def _bars(numeric: Mapping[str, pl.Series]) -> dict[str, str]:
    """Four columns in a row, the second of which is never below the others, and the third never above."""
    names = list(numeric)
    for at in range(len(names) - 3):
        four = names[at : at + 4]
        o, h, l, c = (numeric[name] for name in four)
        is_bar = (h >= pl.select(pl.max_horizontal(o, l, c)).to_series()) & (
            l <= pl.select(pl.min_horizontal(o, h, c)).to_series()
        )
        if is_bar.all() and (h > l).any():
            return dict(zip(OHLC, four, strict=True))
    return {}


def _ticks(numeric: Mapping[str, pl.Series]) -> dict[str, str]:
    """Whole numbers that only grow are the sequence; the first of the others that varies little is the price."""
    found: dict[str, str] = {}
    grow = [name for name, values in numeric.items() if _grows(values)]
    if grow:
        found["sequence"] = grow[0]
    others = [name for name in numeric if name not in grow]
    price = next((name for name in others if _is_steady(numeric[name])), None)
    if price is not None:
        found["price"] = price
        size = next((name for name in others if int(name) > int(price)), None)
        if size is not None:
            found["size"] = size
    return found


def _grows(values: pl.Series) -> bool:
    is_whole = (values % 1 == 0).all()
    return bool(is_whole and len(values) > 1 and all(before < after for before, after in pairwise(_filled(values))))


def _filled(values: pl.Series) -> Iterator[float]:
    return iter(values.drop_nulls().to_list())


def _is_steady(values: pl.Series) -> bool:
    least, most = float(values.min()), float(values.max())  # type: ignore[arg-type]
    return least > 0 and most <= _SPREAD * least
