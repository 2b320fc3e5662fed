"""Files to check as numbered JSON texts, wrong or not, so that one judge can look at all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl

from contracts.encode import WIRE, encode_json
from contracts.timestamps import format_timestamps
from sources import files
from sources.files import FileError

_CHUNK_ROWS: Final = 50_000
_TIMES: Final = ("src_ts", "ingest_ts", "ts")
_NUMBERS: Final = {**dict.fromkeys((*"ohlcv", "value", "score"), pl.Float64), "seq": pl.Int64, "ver": pl.Int64}
_TEXTS: Final = ("provider", "symbol", "kind", "interval", "event_id", "signal_id", "name", "adapter")
_FIRST_CSV_LINE: Final = 2  # the first is the header


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a file by their numbers: texts to be judged, and errors of rows that cannot be put into words."""

    texts: list[tuple[int, bytes]]
    errors: list[tuple[int, str]]


def read_rows(path: Path) -> Iterator[Rows]:
    """Yield the rows of an NDJSON, CSV, Parquet or JSON file; a JSON file is an array, or trades of Kraken's API.

    Rows of NDJSON and CSV have the numbers of their lines, others count from 1.

    Raises:
        FileError: the file cannot be read, or holds no rows.
    """
    if not path.is_file():
        raise FileError(f"{path} is not a file")
    readers = {".csv": _csv, ".parquet": _parquet, ".pq": _parquet, ".ndjson": _lines, ".jsonl": _lines}
    try:
        yield from readers.get(path.suffix.lower(), _json)(path)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    except pl.exceptions.PolarsError as error:
        raise FileError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}") from error


def _lines(path: Path) -> Iterator[Rows]:
    with path.open("rb") as file:
        numbered = ((number, line.removesuffix(b"\n")) for number, line in enumerate(file, 1) if not line.isspace())
        while block := list(islice(numbered, _CHUNK_ROWS)):
            yield Rows(block, [])


def _json(path: Path) -> Iterator[Rows]:
    try:
        document: Any = msgspec.json.decode(path.read_bytes())
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        yield from _lines(path)
        return
    if isinstance(document, dict) and "result" in document:
        for trades in files.read(path):
            yield Rows(list(enumerate(encode_json(trades.select(WIRE.names())).cast(pl.Binary), 1)), [])
        return
    items = document if isinstance(document, list) else [document]
    yield Rows([(number, msgspec.json.encode(item)) for number, item in enumerate(items, 1)], [])


def _csv(path: Path) -> Iterator[Rows]:
    yield from _columns(pl.scan_csv(path, infer_schema=False), _FIRST_CSV_LINE)


def _parquet(path: Path) -> Iterator[Rows]:
    yield from _columns(pl.scan_parquet(path), 1)


def _columns(scan: pl.LazyFrame, first: int) -> Iterator[Rows]:
    present = set(scan.collect_schema().names())
    known = [name for name in (*_TEXTS, *_TIMES, *_NUMBERS, "meta") if name in present]
    if not known:
        raise FileError("the file has no column of Event v1 or Signal v1")
    for rows in scan.select(known).collect_batches(chunk_size=_CHUNK_ROWS):
        yield _from_columns(rows, first)
        first += rows.height


def _from_columns(rows: pl.DataFrame, first: int) -> Rows:
    numbers = [name for name in rows.columns if name in _NUMBERS]
    typed = rows.with_columns(_number(rows[name]) for name in numbers)
    wrong = [
        pl.when(rows[name].is_not_null() & typed[name].is_null()).then(pl.lit(f"{name} is not a finite number"))
        for name in numbers
    ]
    errors = typed.select(error=pl.coalesce([*wrong, pl.lit(None, pl.String)]))["error"]
    numbered = list(zip(range(first, first + rows.height), _texts(typed), errors, strict=True))
    return Rows(
        [(number, text) for number, text, error in numbered if error is None],
        [(number, error) for number, _, error in numbered if error is not None],
    )


def _number(column: pl.Series) -> pl.Series:
    """`column` as numbers, null where it holds none."""
    typed = column.cast(_NUMBERS[column.name], strict=False)
    return typed.set(~typed.is_finite(), None) if typed.dtype == pl.Float64 else typed


def _texts(rows: pl.DataFrame) -> list[bytes]:
    columns = [_time(rows[name]) if name in _TIMES else rows[name] for name in rows.columns if name != "meta"]
    plain = pl.DataFrame(columns)
    if "ver" not in rows.columns:  # files with columns are of the one version there is
        plain = plain.with_columns(ver=pl.lit(1))
    texts = plain.select(pl.struct(pl.all()).struct.json_encode()).to_series()
    if "meta" in rows.columns:
        meta = rows["meta"] if rows["meta"].dtype == pl.String else rows["meta"].struct.json_encode()
        # It is JSON already, and put in as it stands.
        parts = (texts.str.strip_suffix("}"), pl.lit(',"meta":'), meta.fill_null("null"), pl.lit("}"))
        texts = pl.select(pl.concat_str(*parts)).to_series()
    return texts.cast(pl.Binary).to_list()


def _time(column: pl.Series) -> pl.Series:
    """ISO 8601 text; a naive time stays naive, and whole numbers are nanoseconds, as for producers."""
    if isinstance(column.dtype, pl.Datetime):
        text = format_timestamps(column.dt.cast_time_unit("ns").cast(pl.Int64))
        return (text if column.dtype.time_zone else text.str.strip_suffix("Z")).alias(column.name)
    if column.dtype == pl.String:
        times = column.str.to_integer(strict=False)
        return column.zip_with(times.is_null(), format_timestamps(times)).alias(column.name)
    return format_timestamps(column.cast(pl.Int64, strict=False)).alias(column.name)
