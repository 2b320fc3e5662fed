"""Reads files in pieces, without interpretation: rows of columns with the format's types, or texts of records.

Memory does not depend on the length of a file: only one piece is held at a time.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet

from connectors.files import json_values
from connectors.files.errors import FileError
from connectors.files.kraken import trades
from connectors.files.opening import Opened

LONGEST_LINE: Final = 64 << 20
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows with those of the wanted columns that the file has, of any types, and their row numbers in the file."""

    numbers: pl.Series
    values: pl.DataFrame
    broken: tuple[tuple[int, str], ...] = ()  # rows that could not be read at all, and why


@dataclass(frozen=True, slots=True)
class Texts:
    """Records as JSON texts, valid or not, and their line numbers."""

    numbers: list[int]
    texts: list[bytes]


Piece = Columns | Texts


def pieces(file: Opened, wanted: Sequence[str], rows: int) -> Iterator[Piece]:
    """Yields a file in pieces of about `rows` rows.

    Raises:
        FileError: it is not of its kind, or has none of the wanted columns.
        OSError, pyarrow.ArrowException: it cannot be read.
    """
    match file.kind:
        case "csv" | "tsv":
            yield from _csv(file, wanted, rows)
        case "parquet":
            with file.seekable() as stream, pa.parquet.ParquetFile(stream) as table:
                names = _chosen(file, table.schema_arrow.names, wanted)
                yield from _batches(table.iter_batches(batch_size=rows, columns=list(names)), names, rows)
        case "arrow":
            yield from _arrow(file, wanted, rows)
        case "ndjson":
            with file.stream() as stream:
                yield from _lines(file, stream, rows)
        case "json":
            with file.stream() as stream:
                yield from _json(file, stream, rows)


def _chosen(file: Opened, present: Sequence[str], wanted: Sequence[str]) -> dict[str, str]:
    """Maps the file's names of the wanted columns, which may have surrounding spaces, to the wanted names."""
    found: dict[str, str] = {}
    for name in present:
        plain = name.strip()
        if plain not in wanted:
            continue
        if plain in found.values():
            raise FileError(f"{file.path} has two columns {plain}: remove one of them")
        found[name] = plain
    if not found:
        there = f"it has {', '.join(present)[:200]}" if present else "it is empty"
        raise FileError(f"{file.path} has none of the columns {', '.join(wanted)}: {there}")
    return found


def _batches(batches: Iterator[pa.RecordBatch], names: dict[str, str], rows: int, first: int = 1) -> Iterator[Columns]:
    for batch in batches:
        for start in range(0, batch.num_rows, rows):
            part = pl.DataFrame(pl.from_arrow(batch.select(list(names)).slice(start, rows))).rename(names)
            yield Columns(pl.int_range(first, first + part.height, eager=True), part)
            first += part.height


def _arrow(file: Opened, wanted: Sequence[str], rows: int) -> Iterator[Columns]:
    with file.seekable() as stream:
        is_file = stream.read(6) == b"ARROW1"
        stream.seek(0)
        reader = pa.ipc.open_file(stream) if is_file else pa.ipc.open_stream(stream)
        names = _chosen(file, reader.schema.names, wanted)
        batches = map(reader.get_batch, range(reader.num_record_batches)) if is_file else iter(reader)
        yield from _batches(batches, names, rows)


def _csv(file: Opened, wanted: Sequence[str], rows: int) -> Iterator[Columns]:
    """Yields cells as strings, null if empty, without interpretation."""
    with io.TextIOWrapper(file.stream(), encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, delimiter="\t" if file.kind == "tsv" else ",")
        try:
            header = next(reader, [])
            names = _chosen(file, header, wanted)
            numbered = ((reader.line_num, row) for row in reader if row)  # blank lines are not rows
            yield _of_cells(list(islice(numbered, rows)), header, names)  # even with only a header
            while block := list(islice(numbered, rows)):
                yield _of_cells(block, header, names)
        except (csv.Error, UnicodeDecodeError) as error:
            raise FileError(f"{file.path}, after line {reader.line_num}: {error}") from None


def _of_cells(block: list[tuple[int, list[str]]], header: list[str], names: dict[str, str]) -> Columns:
    width = len(header)
    broken = [(number, _miscounted(row, width)) for number, row in block if len(row) != width]
    whole = [(number, row) for number, row in block if len(row) == width] if broken else block
    cells = dict(zip(header, zip(*(row for _, row in whole), strict=True), strict=False))
    empty: tuple[str, ...] = ()
    values = [pl.Series(wanted, cells.get(name, empty), pl.String) for name, wanted in names.items()]
    filled = pl.DataFrame([column.set(column == "", None) for column in values])
    return Columns(pl.Series([number for number, _ in whole], dtype=pl.Int64), filled, tuple(broken))


def _miscounted(row: list[str], width: int) -> str:
    return f"the row has {len(row)} cells, and the header {width}"


def _lines(file: Opened, stream: IO[bytes], rows: int) -> Iterator[Texts]:
    """Yields unchanged lines: their errors are found by the decoder."""
    numbers: list[int] = []
    texts: list[bytes] = []
    number = 0
    while line := stream.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE:
            raise FileError(f"{file.path}, line {number} is longer than {LONGEST_LINE >> 20} MiB: is it NDJSON?")
        if number == 1:
            line = line.removeprefix(_BOM)
        if not line.isspace():
            numbers.append(number)
            texts.append(line.removesuffix(b"\n"))
        if len(texts) == rows:
            yield Texts(numbers, texts)
            numbers, texts = [], []
    if texts:
        yield Texts(numbers, texts)


def _json(file: Opened, stream: io.BufferedReader, rows: int) -> Iterator[Piece]:
    """Yields an array of records, one record, lines of records, or an answer of Kraken's API."""
    first = stream.peek(1).removeprefix(_BOM).lstrip().partition(b"\n")[0]
    if not first.startswith(b"[") and json_values.is_record(first) and b'"result"' not in first:
        yield from _lines(file, stream, rows)
        return
    numbered = enumerate(json_values.values(file.path, stream), 1)
    while block := list(islice(numbered, rows)):
        answer = trades(file.path, block[0][1]) if len(block) == 1 else None
        if answer is not None:
            yield Columns(pl.int_range(1, answer.height + 1, eager=True), answer)
        else:
            yield Texts([number for number, _ in block], [text for _, text in block])
