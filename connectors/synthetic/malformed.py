"""Malformed records as a faulty feed may send them: each one must end in the DLQ without affecting its neighbours."""

from __future__ import annotations

from typing import Final

import polars as pl

from codec.encode import encode_json

_json: Final = pl.col("json")


def _replaced(pattern: str, replacement: str) -> pl.Expr:
    return _json.str.replace(pattern, replacement).cast(pl.Binary)


# How to break the JSON text of a valid tick.
MALFORMED: Final[dict[str, pl.Expr]] = {
    "truncated": _json.str.head(_json.str.len_chars() // 2).cast(pl.Binary),
    "array": pl.concat_str(pl.lit("["), _json, pl.lit("]")).cast(pl.Binary),
    "empty": pl.lit(b""),
    "junk": pl.lit(bytes(range(256)) * 4),
    "wrong_version": _replaced(r'"ver":1', '"ver":2'),
    "wrong_type": _replaced(r'"c":[^,}]+', '"c":"dear"'),
    "missing_price": _replaced(r'"c":[^,}]+,', ""),
    "nan_price": _replaced(r'"c":[^,}]+', '"c":NaN'),
    "huge_price": _replaced(r'"c":[^,}]+', '"c":1e300'),
    "negative_volume": _replaced(r'"v":', '"v":-1'),
    "far_future": _replaced(r'"src_ts":"\d{4}', '"src_ts":"2999'),
    "naive_time": _replaced(r'("src_ts":"[^"]+)Z"', '${1}"'),
    "empty_symbol": _replaced(r'"symbol":"[^"]*"', '"symbol":""'),
    "long_symbol": _replaced(r'"symbol":"[^"]*"', f'"symbol":"{"X" * 257}"'),
    "unknown_kind": _replaced(r'"kind":"[^"]*"', '"kind":"rumour"'),
}


def break_events(events: pl.DataFrame, how: pl.Series) -> pl.DataFrame:
    """Break each tick of `events` according to `how`, a key of MALFORMED for each.

    Returns columns symbol (a malformed record keeps its Kafka key), label and raw.
    """
    texts = events.select("symbol", json=encode_json(events), label=how)
    broken = [pl.when(pl.col("label") == name).then(expression) for name, expression in MALFORMED.items()]
    return texts.select("symbol", "label", raw=pl.coalesce(broken))
