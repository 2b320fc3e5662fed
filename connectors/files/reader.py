"""Files of records in any format: rows with typed fields, or lines as they are; several files merged by time."""

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
# What a frame tells beside the fields of a record.
ABOUT: Final = pl.Schema(
    {
        "raw": pl.Binary,  # a line, as it is
        "file": pl.UInt32,  # which of the paths
        "row": pl.Int64,  # in the file: a line of text, or a row, of which the first of CSV is the header
        "flaw": pl.String,  # what cannot be read of the row
        "cell": pl.String,  # what is there instead
    }
)


class _Keyed(msgspec.Struct):
    symbol: str | None = None
    provider: object = None  # of any type, so that what is wrong with it does not cost the symbol
    src_ts: object = None


_keyed: Final = msgspec.json.Decoder(_Keyed)


Remark = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are to be read.

    Attributes:
        fields: what a record may have, and the type of each: text, whole numbers, numbers.
        required: columns that a file has to have.
        times: those of the fields that are times, in nanoseconds since 1970.
        unit: of times that are numbers; None: as the first of a column looks.
        zone: of times that name none, such as America/New_York; None: they cannot be read.
        remark: is told how times were read that could have been read otherwise.
    """

    fields: pl.Schema
    required: Sequence[str] = ()
    times: Sequence[str] = ("src_ts", "ingest_ts", "ts")
    unit: TimeUnit | None = None
    zone: str | None = None
    remark: Remark = field(default=lambda _: None)


def read(paths: Sequence[Path], reading: Reading) -> Iterator[pl.DataFrame]:
    """Yields the rows of all files, by time, in frames of all fields and ABOUT.

    Each file keeps the order of its rows, so one that is out of order stays so. Memory depends on the number of files,
    not on their length.

    Raises:
        FileError: a file cannot be read, is of no known kind, or has none of the fields.
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
                    reading.remark(f"{file.path}: numbers in {name} are taken for {NAMES[column.unit]} since 1970")
    except OSError as error:
        raise FileError(f"{file.path} cannot be read: {error.strerror or error}") from error
    except (pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise FileError(f"{file.path} cannot be read: {' '.join(str(error).split())[:200]}") from error


def _check(file: Opened, piece: Columns, reading: Reading) -> None:
    missing = [name for name in reading.required if name not in piece.values.columns]
    if missing:
        raise FileError(f"{file.path} has no column {', '.join(missing)}: needed are {', '.join(reading.required)}")


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
    """The beginning of each cell, as far as it has a short text."""
    if column.dtype.is_nested():
        return nothing(column, pl.String)
    return column.cast(pl.String, strict=False).str.slice(0, 40)


def _of_texts(piece: Texts) -> pl.DataFrame:
    """Lines, and of those that can be read the provider, the symbol, which is their key, and the time."""
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
