"""Files to check as numbered JSON texts, wrong or not, so that one judge can look at all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from codec.encode import WIRE
from connectors.files.reader import Reading, Remark, read
from connectors.files.times import TimeUnit
from contracts.timestamps import format_timestamps

# What an event or a signal can have.
_FIELDS: Final = pl.Schema(
    [
        ("ver", pl.Int64()),
        *WIRE.items(),
        ("signal_id", pl.String()),
        ("ts", pl.Int64()),
        ("name", pl.String()),
        ("value", pl.Float64()),
        ("score", pl.Float64()),
        ("adapter", pl.String()),
        ("meta", pl.String()),  # JSON
    ]
)
_TIMES: Final = ("src_ts", "ingest_ts", "ts")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a file by their numbers: texts to be judged, and errors of rows that cannot be put into words."""

    texts: list[tuple[int, bytes]]
    errors: list[tuple[int, str]]


def read_rows(path: Path, unit: TimeUnit | None, zone: str | None, remark: Remark) -> Iterator[Rows]:
    """Yields the rows of a file; a line of JSON as it is, a row of columns as the JSON that would be sent.

    Raises:
        FileError: the file cannot be read, or holds no rows.
    """
    for frame in read([path], Reading(_FIELDS, times=_TIMES, unit=unit, zone=zone, remark=remark)):
        good = frame.filter(pl.col("flaw").is_null())
        wrong = frame.filter(pl.col("flaw").is_not_null())
        texts = good["raw"] if good["raw"].null_count() == 0 else _texts(good)
        yield Rows(list(zip(good["row"], texts, strict=True)), list(wrong.select("row", "flaw").iter_rows()))


def _texts(rows: pl.DataFrame) -> pl.Series:
    filled = [name for name in _FIELDS if name != "meta" and rows[name].null_count() < rows.height]
    plain = rows.select(filled).with_columns(format_timestamps(rows[name]) for name in _TIMES if name in filled)
    if "ver" not in filled:  # files with columns are of the one version there is
        plain = plain.with_columns(ver=pl.lit(1))
    texts = plain.select(pl.struct(pl.all()).struct.json_encode()).to_series()
    if rows["meta"].null_count() < rows.height:
        # It is JSON already, and put in as it stands.
        parts = (texts.str.strip_suffix("}"), pl.lit(',"meta":'), rows["meta"].fill_null("null"), pl.lit("}"))
        texts = pl.select(pl.concat_str(*parts)).to_series()
    return texts.cast(pl.Binary)
