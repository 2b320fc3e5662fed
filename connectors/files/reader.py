"""Reads files of records in any format: rows with typed fields, or unchanged lines; several files merged by time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import polars as pl
import pyarrow as pa

from connectors.files.cells import as_type
from connectors.files.errors import FileError
from connectors.files.merge import merged
from connectors.files.opening import Opened, opened
from connectors.files.raw import Columns, Texts, pieces
from connectors.files.times import NAMES, Times, TimeUnit, flaws, nothing

CHUNK_ROWS: Final = 50_000
_LEAST_ROWS: Final = 1_000  # of a chunk, where there are many files
# Columns of a frame in addition to the fields of a record.
ABOUT: Final = pl.Schema(
    {
        "raw": pl.Binary,  # an unchanged line
        "file": pl.UInt32,  # which of the paths
        "row": pl.Int64,  # in the file: number of the line, or of the row, where a CSV header counts
        "flaw": pl.String,  # why the row cannot be read
        "cell": pl.String,  # the offending cell
    }
)


class _Keyed(msgspec.Struct):
    symbol: str | None = None
    provider: object = None  # of any type, so that an invalid one does not prevent reading the symbol
    src_ts: object = None


_keyed: Final = msgspec.json.Decoder(_Keyed)


Remark = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Reading:
    """Options for reading files.

    Attributes:
        fields: the possible fields of a record, with their types: text, whole numbers, numbers.
        required: columns that a file must have.
        times: the fields that are times, in nanoseconds since 1970.
        unit: of numeric times; None: guessed from the first of a column.
        zone: of times without a zone, such as America/New_York; None: they are refused.
        remark: called with a text about ambiguous times.
    """

    fields: pl.Schema
    required: Sequence[str] = ()
    times: Sequence[str] = ("src_ts", "ingest_ts", "ts")
    unit: TimeUnit | None = None
    zone: str | None = None
    remark: Remark = field(default=lambda _: None)


def read(paths: Sequence[Path], reading: Reading) -> Iterator[pl.DataFrame]:
    """Yields the rows of all files, by time, in frames of all fields and ABOUT.

    Each file keeps the order of its rows, even if they are out of order. Memory depends on the number of files, not on
    their length.

    Raises:
        FileError: a file cannot be read, has an unknown format, or has none of the fields.
    """
    files = [opened(path) for path in paths]
    rows = max(CHUNK_ROWS // max(len(files), 1), _LEAST_ROWS)
    streams = [_frames(file, number, reading, rows) for number, file in enumerate(files)]
    yield from streams[0] if len(streams) == 1 else merged(streams)


def _frames(file: Opened, number: int, reading: Reading, rows: int) -> Iterator[pl.DataFrame]:
    times = {name: Times(name, reading.unit, reading.zone) for name in reading.times if name in reading.fields}
    said: set[str] = set()
    try:
        for piece in pieces(file, reading.fields.names(), rows):
            if isinstance(piece, Columns):
                _check(file, piece, reading)
                frame = _of_columns(piece, times, reading)
            else:
                frame = _of_texts(piece)
            yield _complete(frame.with_columns(file=pl.lit(number, pl.UInt32)), reading)
            for name, column in times.items():
                if column.unit is not None and reading.unit is None and name not in said:
                    said.add(name)
                    reading.remark(f"{file.path}: numbers in {name} are read as {NAMES[column.unit]} since 1970")
    except OSError as error:
        raise FileError(f"{file.path} cannot be read: {error.strerror or error}") from error
    except (pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise FileError(f"{file.path} cannot be read: {' '.join(str(error).split())[:200]}") from error


def _check(file: Opened, piece: Columns, reading: Reading) -> None:
    missing = [name for name in reading.required if name not in piece.values.columns]
    if missing:
        raise FileError(f"{file.path} has no column {', '.join(missing)}: required are {', '.join(reading.required)}")


def _complete(frame: pl.DataFrame, reading: Reading) -> pl.DataFrame:
    schema = pl.Schema({**reading.fields, **ABOUT})
    lacking = [pl.lit(None, dtype).alias(name) for name, dtype in schema.items() if name not in frame.columns]
    return frame.with_columns(lacking).select(schema.names())


def _of_columns(piece: Columns, times: dict[str, Times], reading: Reading) -> pl.DataFrame:
    columns, flaw, cell = [], flaws(piece.numbers.is_null(), ""), flaws(piece.numbers.is_null(), "")
    for column in piece.values:
        name = column.name
        values, wrong = times[name].read(column) if name in times else as_type(column, reading.fields[name])
        columns.append(values.alias(name))
        if wrong.null_count() < len(wrong):
            is_first = wrong.is_not_null() & flaw.is_null()
            flaw = wrong.zip_with(is_first, flaw)
            cell = _shown(column).zip_with(is_first, cell)
    frame = pl.DataFrame(columns).with_columns(row=piece.numbers, flaw=flaw, cell=cell)
    broken = pl.DataFrame(piece.broken, {"row": pl.Int64, "flaw": pl.String}, orient="row")
    return frame if broken.is_empty() else pl.concat([frame, broken], how="diagonal").sort("row")


def _shown(column: pl.Series) -> pl.Series:
    """The beginning of each cell as text."""
    if column.dtype.is_nested():
        return nothing(column, pl.String)
    return column.cast(pl.String, strict=False).str.slice(0, 40)


def _of_texts(piece: Texts) -> pl.DataFrame:
    """Lines, with the provider, the symbol, which is the key, and the time of readable ones."""
    from codec.timestamps import parse_timestamps  # noqa: PLC0415 - it needs Numba

    keys = [_key(text) for text in piece.texts]
    return pl.DataFrame(
        {
            "raw": pl.Series(piece.texts, dtype=pl.Binary),
            "row": piece.numbers,
            "provider": _strings(key.provider for key in keys),
            "symbol": pl.Series([key.symbol for key in keys], dtype=pl.String),
            "src_ts": parse_timestamps(_strings(key.src_ts for key in keys)),
        }
    )


def _strings(values: Iterable[object]) -> pl.Series:
    return pl.Series([value if isinstance(value, str) else None for value in values], dtype=pl.String)


def _key(text: bytes) -> _Keyed:
    try:
        return _keyed.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _Keyed()
