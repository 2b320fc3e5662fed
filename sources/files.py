"""Files of events: NDJSON as it is, CSV and Parquet with the columns of Event v1, trades as Kraken's API has them.

Files are read as streams, so memory does not depend on their size; only an answer of Kraken's API, which is small, is
read whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl

from contracts.encode import WIRE
from contracts.errors import MdpError
from contracts.timestamps import parse_timestamps
from sources.outgoing import UNCHECKED, outgoing, with_disorder

_CHUNK_ROWS: Final = 50_000
_PEEK_BYTES: Final = 4_096
_PARQUET_MAGIC: Final = b"PAR1"
_REQUIRED: Final = ("provider", "symbol", "kind", "src_ts", "c", "v")
_TIMES: Final = ("src_ts", "ingest_ts")
_TRADE_FIELDS: Final = ("c", "v", "time", "side", "order_type", "misc", "seq")


class _Keyed(msgspec.Struct):
    symbol: str | None = None


_keyed: Final = msgspec.json.Decoder(_Keyed)


class FileError(MdpError):
    """A file is missing, or does not hold events."""


def read(path: Path) -> Iterator[pl.DataFrame]:
    """Yield the rows of a file as OUTGOING frames; its ending says what it is, and its first bytes where that is open.

    Raises:
        FileError: the file cannot be read, is of no known kind, lacks required columns, or a value has the wrong type.
    """
    if not path.is_file():
        raise FileError(f"{path} is not a file")
    newest: int | None = None
    try:
        for rows in _reader(path)(path):
            chunk, newest = with_disorder(outgoing(rows, UNCHECKED), newest)
            yield chunk
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    except pl.exceptions.PolarsError as error:
        raise FileError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}") from error


def _reader(path: Path) -> Callable[[Path], Iterator[pl.DataFrame]]:
    by_ending = {".ndjson": _ndjson, ".jsonl": _ndjson, ".csv": _csv, ".parquet": _parquet, ".pq": _parquet}
    if path.suffix.lower() in by_ending:
        return by_ending[path.suffix.lower()]
    with path.open("rb") as file:
        start = file.read(_PEEK_BYTES)
    if start.startswith(_PARQUET_MAGIC):
        return _parquet
    if start.lstrip().startswith(b"{"):
        return _ndjson if _is_object(start.splitlines()[0]) and b'"result"' not in start else _kraken
    raise FileError(
        f"{path} is of no known kind: name it .ndjson, .csv or .parquet, or .json for trades of Kraken's API"
    )


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _ndjson(path: Path) -> Iterator[pl.DataFrame]:
    """Lines as they are, good or bad: what is wrong with them is found, and kept, where everybody looks for it."""
    with path.open("rb") as file:
        while block := list(islice(file, _CHUNK_ROWS)):
            lines = [line.removesuffix(b"\n") for line in block if not line.isspace()]
            symbols = [_symbol(line) for line in lines]
            yield pl.DataFrame({"raw": lines, "symbol": symbols}, {"raw": pl.Binary, "symbol": pl.String})


def _symbol(line: bytes) -> str | None:
    try:
        return _keyed.decode(line).symbol
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _csv(path: Path) -> Iterator[pl.DataFrame]:
    yield from _columns(path, pl.scan_csv(path, infer_schema=False))


def _parquet(path: Path) -> Iterator[pl.DataFrame]:
    yield from _columns(path, pl.scan_parquet(path))


def _columns(path: Path, scan: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    present = scan.collect_schema().names()
    missing = [name for name in _REQUIRED if name not in present]
    if missing:
        raise FileError(f"{path} has no column {', '.join(missing)}: events need {', '.join(_REQUIRED)}")
    wanted = scan.select(name for name in WIRE if name in present)
    row = 1
    for rows in wanted.collect_batches(chunk_size=_CHUNK_ROWS):
        yield pl.DataFrame([_typed(path, row, column) for column in rows])
        row += rows.height


def _typed(path: Path, first_row: int, column: pl.Series) -> pl.Series:
    """`column` in its type in WIRE."""
    if column.name in _TIMES and isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is None:
        raise FileError(f"{path}: the times in column {column.name} have no time zone; store them as UTC")
    typed = _times(column) if column.name in _TIMES else column.cast(WIRE[column.name], strict=False)
    wrong = typed.is_null() & column.is_not_null()
    if wrong.any():
        index = wrong.arg_max() or 0
        expected = "a time such as 2025-10-24T14:02:01Z" if column.name in _TIMES else f"a {WIRE[column.name]}"
        raise FileError(
            f"{path}, row {first_row + index}: {column.name} is {str(column[index])[:40]!r}, not {expected}"
        )
    return typed


def _times(column: pl.Series) -> pl.Series:
    """Nanoseconds from ISO 8601 text, aware timestamps, or nanoseconds; null where there is no time."""
    if isinstance(column.dtype, pl.Datetime):
        return column.dt.cast_time_unit("ns").cast(pl.Int64)
    if column.dtype == pl.String:
        nanoseconds = column.str.to_integer(strict=False)
        return nanoseconds.zip_with(nanoseconds.is_not_null(), parse_timestamps(column))
    if column.dtype.is_integer():
        return column.cast(pl.Int64, strict=False)
    return pl.Series(column.name, [None] * len(column), pl.Int64)


def _kraken(path: Path) -> Iterator[pl.DataFrame]:
    """Trades of the REST call /0/public/Trades: lists of price, volume, time, side, order type, misc, trade id."""
    try:
        # Numbers stay text: a float of seconds since 1970 cannot hold nanoseconds.
        answer = json.loads(path.read_bytes(), parse_float=str, parse_int=str)
        pairs = {pair: trades for pair, trades in answer["result"].items() if pair != "last"}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileError(f"{path} holds neither events nor an answer of Kraken's API with trades") from error
    for pair, trades in pairs.items():
        yield _trades(path, pair, trades)


def _trades(path: Path, pair: str, trades: list[list[Any]]) -> pl.DataFrame:
    try:
        texts = pl.DataFrame(trades, schema=dict.fromkeys(_TRADE_FIELDS, pl.String), orient="row")
        rows = texts.with_columns(pl.col("c", "v").cast(pl.Float64), pl.col("seq").cast(pl.Int64))
        return rows.select(
            "c",
            "v",
            "seq",
            provider=pl.lit("kraken"),
            symbol=pl.lit(pair),
            kind=pl.lit("tick"),
            src_ts=_decimal_seconds(),
        )
    except (ValueError, TypeError, pl.exceptions.PolarsError) as error:
        raise FileError(f"{path}: the entries of {pair} are no trades as Kraken's API returns them") from error


def _decimal_seconds() -> pl.Expr:
    """Nanoseconds of the decimal number in column `time`, exactly."""
    parts = pl.col("time").str.split_exact(".", 1)
    fraction = parts.struct.field("field_1").fill_null("").str.pad_end(9, "0").cast(pl.Int64)
    return parts.struct.field("field_0").cast(pl.Int64) * 1_000_000_000 + fraction
