"""Files as numbered JSON texts, valid or not, so that one validator can check all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from connectors.files.reader import Reading, Remark, read
from connectors.files.times import TimeUnit
from contracts.columns import polars_schema
from contracts.message import MessageType
from contracts.timestamps import format_timestamps

_IN_CELLS: Final = ("text", "time", "number", "integer", "object")  # what a row of columns can hold of a message


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a file by number: texts to validate, and errors of rows that cannot be written as JSON."""

    texts: list[tuple[int, bytes]]
    errors: list[tuple[int, str]]


class Columns:
    """What columns a file of such messages can have.

    Args:
        types: of the messages; a file has columns of any of them.
    """

    def __init__(self, types: Sequence[MessageType]) -> None:
        kinds = {field.name: field.kind for kind in types for field in kind.fields if field.kind in _IN_CELLS}
        columns = {name: dtype for kind in types for name, dtype in polars_schema(kind.struct).items() if name in kinds}
        self.schema: Final = pl.Schema(columns)
        self.times: Final = [name for name, kind in kinds.items() if kind == "time"]
        self.objects: Final = [name for name, kind in kinds.items() if kind == "object"]  # whose cells are JSON

    def reading(self, unit: TimeUnit | None, zone: str | None, remark: Remark) -> Reading:
        """Reads files whose columns have the names of the fields."""
        return Reading(self.schema, times=self.times, unit=unit, zone=zone, remark=remark)


def read_rows(path: Path, columns: Columns, reading: Reading) -> Iterator[Rows]:
    """Yields the rows of a file: lines of JSON unchanged, rows with columns as the JSON that would be sent.

    Raises:
        FileError: the file cannot be read, or holds no rows.
    """
    for frame in read([path], reading):
        good = frame.filter(pl.col("flaw").is_null())
        wrong = frame.filter(pl.col("flaw").is_not_null())
        texts = good["raw"] if good["raw"].null_count() == 0 else _texts(good, columns)
        yield Rows(list(zip(good["row"], texts, strict=True)), list(wrong.select("row", "flaw").iter_rows()))


def _texts(rows: pl.DataFrame, columns: Columns) -> pl.Series:
    filled = [name for name in columns.schema if name in rows.columns and rows[name].null_count() < rows.height]
    plain = rows.select(name for name in filled if name not in columns.objects)
    plain = plain.with_columns(format_timestamps(rows[name]) for name in columns.times if name in filled)
    if "ver" in columns.schema and "ver" not in filled:  # files with columns are of the one version there is
        plain = plain.with_columns(ver=pl.lit(1))
    texts = plain.select(pl.struct(pl.all()).struct.json_encode()).to_series()
    for name in columns.objects:
        if name in filled:  # it is JSON already, and put in as it stands
            parts = (texts.str.strip_suffix("}"), pl.lit(f',"{name}":'), rows[name].fill_null("null"), pl.lit("}"))
            texts = pl.select(pl.concat_str(*parts)).to_series()
    return texts.cast(pl.Binary)
