"""Trades in answers of Kraken's REST call /0/public/Trades: price, volume, time, side, order type, misc, trade id."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import polars as pl

from connectors.files.errors import FileError

_FIELDS: Final = ("c", "v", "time", "side", "order_type", "misc", "seq")


def trades(path: Path, text: bytes) -> pl.DataFrame | None:
    """The trades of an answer, as columns of Event v1; None for any other JSON.

    Raises:
        FileError: it is an answer, but its entries are not trades.
    """
    # Numbers stay text: a float of seconds since 1970 does not have nanosecond precision.
    document = json.loads(text, parse_float=str, parse_int=str)
    if not isinstance(document, dict) or not {"result", "error"} & document.keys():
        return None
    if not isinstance(document.get("result"), dict):
        raise FileError(f"{path} is an answer of Kraken's API without trades: {str(document.get('error'))[:100]}")
    pairs = [_of_pair(path, pair, rows) for pair, rows in document["result"].items() if pair != "last"]
    return pl.concat(pairs) if pairs else None


def _of_pair(path: Path, pair: str, rows: list[list[Any]]) -> pl.DataFrame:
    try:
        texts = pl.DataFrame(rows, schema=dict.fromkeys(_FIELDS, pl.String), orient="row")
        return texts.select(
            pl.col("c", "v").cast(pl.Float64),
            pl.col("seq").cast(pl.Int64),
            provider=pl.lit("kraken"),
            symbol=pl.lit(pair),
            kind=pl.lit("tick"),
            src_ts=_decimal_seconds(),
        )
    except (ValueError, TypeError, pl.exceptions.PolarsError) as error:
        raise FileError(f"{path}: the entries of {pair} are not trades as Kraken's API returns them") from error


def _decimal_seconds() -> pl.Expr:
    """The exact nanoseconds of the decimal number in column `time`."""
    parts = pl.col("time").str.split_exact(".", 1)
    fraction = parts.struct.field("field_1").fill_null("").str.pad_end(9, "0").cast(pl.Int64)
    nanoseconds = parts.struct.field("field_0").cast(pl.Int64) * 1_000_000_000 + fraction
    return nanoseconds.cast(pl.Datetime("ns", "UTC"))
