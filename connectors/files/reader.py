"""Reads files of records in any format: rows with typed fields, or unchanged lines; several files merged by time."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import polars as pl
import pyarrow as pa

from connectors.files.ahead import ahead
from connectors.files.errors import FileError
from connectors.files.fields import FieldReader, Zones, mapped_readers, numbers_of, plain_reader
from connectors.files.layout import Layout
from connectors.files.maps import FileMap, load_map
from connectors.files.merge import merged
from connectors.files.opening import Opened, opened
from connectors.files.pieces import Columns, Texts
from connectors.files.raw import pieces
from connectors.files.targets import target_of
from connectors.files.times import NAMES, TimeUnit, no_flaws, nothing

CHUNK_ROWS: Final = 50_000
_MOST_ROWS: Final = 400_000  # of all files that are in memory at once
_LEAST_ROWS: Final = 1_000  # of a chunk, where there are many files
# Columns of a frame in addition to the fields of a record.
ABOUT: Final = pl.Schema(
    {
        "raw": pl.Binary,  # an unchanged line
        "file": pl.UInt32,  # which of the files, as `names_of` has them
        "row": pl.Int64,  # in the file: number of the line, or of the row, where a CSV header counts
        "flaw": pl.String,  # why the row cannot be read
        "cell": pl.String,  # the offending cell
    }
)

_ANSWER: Final = re.compile(rb'\s*\{\s*"(error|result)"\s*:')  # how answers of Kraken's API begin
_OF_ANSWERS: Final = "kraken-rest"


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
        columns: the map by which the fields are read; None: columns have the names of fields.
    """

    fields: pl.Schema
    required: Sequence[str] = ()
    times: Sequence[str] = ("src_ts", "ingest_ts", "ts")
    unit: TimeUnit | None = None
    zone: str | None = None
    remark: Remark = field(default=lambda _: None)
    columns: FileMap | None = None

    @classmethod
    def of_map(cls, columns: FileMap, unit: TimeUnit | None, zone: str | None, remark: Remark) -> Reading:
        """Reads the fields that a map leads to.

        Raises:
            ContractError, MapError: the map does not fit its type.
        """
        target = target_of(columns)
        return cls(target.schema, times=target.times, unit=unit, zone=zone, remark=remark, columns=columns)


def read(paths: Sequence[Path], reading: Reading) -> Iterator[pl.DataFrame]:
    """Yields the rows of all files, by time, in frames of all fields and ABOUT, reading ahead of their use.

    Each file keeps the order of its rows, even if they are out of order. Memory depends on the number of files, not on
    their length.

    Raises:
        FileError: a file cannot be read, has an unknown format, or has none of the fields.
    """
    files = _opened(paths, reading)
    rows = min(max(_MOST_ROWS // max(len(files), 1), _LEAST_ROWS), CHUNK_ROWS)
    streams = [_frames(file, number, reading, rows) for number, file in enumerate(files)]
    yield from ahead(streams[0] if len(streams) == 1 else merged(streams))


def names_of(paths: Sequence[Path], reading: Reading) -> list[str]:
    """The names of the files, of which an archive holds several."""
    return [file.name for file in _opened(paths, reading)]


def _opened(paths: Sequence[Path], reading: Reading) -> list[Opened]:
    kind = None if reading.columns is None else reading.columns.format
    return [file for path in paths for file in opened(path, kind)]


def _frames(file: Opened, number: int, reading: Reading, rows: int) -> Generator[pl.DataFrame, None, None]:
    said: set[str] = set()
    readers: list[FieldReader] = []
    try:
        columns = _map_of(file, reading)
        layout = _layout(reading, columns)
        for piece in pieces(file, layout, rows):
            if isinstance(piece, Columns):
                readers = readers or _readers(file, piece, reading, columns)
                frame = _of_columns(piece, readers)
            else:
                frame = _of_texts(piece)
            yield _complete(frame.with_columns(file=pl.lit(number, pl.UInt32)), reading)
            _remark_units(file, readers, reading, said)
    except OSError as error:
        raise FileError(f"{file.name} cannot be read: {error.strerror or error}") from error
    except (pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise FileError(f"{file.name} cannot be read: {' '.join(str(error).split())[:200]}") from error


def _map_of(file: Opened, reading: Reading) -> FileMap | None:
    """The map of a file; that of Kraken's answers is known by how they begin."""
    if reading.columns is not None or file.kind != "json" or "c" not in reading.fields:
        return reading.columns
    with file.stream() as stream:
        is_answer = _ANSWER.match(stream.peek(1)) is not None
    return load_map(_OF_ANSWERS) if is_answer else None


def _layout(reading: Reading, columns: FileMap | None) -> Layout:
    if columns is None:
        return Layout(tuple(reading.fields.names()))
    return Layout.of(columns, numbers_of(columns, target_of(columns)))


def _readers(file: Opened, piece: Columns, reading: Reading, columns: FileMap | None) -> list[FieldReader]:
    zones = Zones(reading.unit, reading.zone)
    if columns is not None:
        return mapped_readers(columns, target_of(columns), file.name, zones)
    present = piece.values.columns
    missing = [name for name in reading.required if name not in present]
    if missing:
        raise FileError(f"{file.name} has no column {', '.join(missing)}: required are {', '.join(reading.required)}")
    return [plain_reader(name, reading.fields[name], zones, is_time=name in reading.times) for name in present]


def _remark_units(file: Opened, readers: Sequence[FieldReader], reading: Reading, said: set[str]) -> None:
    """Says of which unit numeric times are taken to be, once for each column."""
    for reader in readers:
        times = reader.times
        if times is not None and times.is_guessed and times.unit is not None and reader.field not in said:
            said.add(reader.field)
            reading.remark(f"{file.name}: numbers in {times.name} are read as {NAMES[times.unit]} since 1970")


def _complete(frame: pl.DataFrame, reading: Reading) -> pl.DataFrame:
    schema = pl.Schema({**reading.fields, **ABOUT})
    lacking = [pl.lit(None, dtype).alias(name) for name, dtype in schema.items() if name not in frame.columns]
    return frame.with_columns(lacking).select(schema.names())


def _of_columns(piece: Columns, readers: Sequence[FieldReader]) -> pl.DataFrame:
    columns, flaw, cell = [], no_flaws(piece.numbers), no_flaws(piece.numbers)
    for reader in readers:
        values, wrong, column = reader.read(piece.values)
        columns.append(values)
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
