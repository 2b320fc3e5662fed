"""Reads files in pieces, without interpretation: rows of columns with the format's types, or texts of records.

Memory does not depend on the length of a file: only one piece is held at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import IO, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet

from connectors.files import json_values
from connectors.files.delimited import read_delimited
from connectors.files.errors import FileError
from connectors.files.json_cells import Cells
from connectors.files.layout import Layout
from connectors.files.opening import Opened
from connectors.files.pieces import LONGEST_LINE, Columns, Piece, Texts, sized

_BOM: Final = b"\xef\xbb\xbf"


def pieces(file: Opened, layout: Layout, rows: int) -> Iterator[Piece]:
    """Yields a file in pieces of about `rows` rows.

    Raises:
        FileError: it is not of its kind, or lacks columns.
        OSError, pyarrow.ArrowException: it cannot be read.
    """
    match file.kind:
        case "csv" | "tsv":
            yield from read_delimited(file, layout, rows)
        case "parquet":
            with file.seekable() as stream, pa.parquet.ParquetFile(stream) as table:
                schema = table.schema_arrow
                places = layout.chosen(file.name, schema.names)
                names = list(dict.fromkeys(schema.names[place] for place in places.values()))
                read = table.iter_batches(batch_size=rows, columns=names)
                yield from _batches(read, {name: names.index(schema.names[at]) for name, at in places.items()}, rows)
        case "arrow":
            yield from _arrow(file, layout, rows)
        case "dbn":
            from connectors.databento.dbn import read_dbn  # noqa: PLC0415 - it reads files, too

            yield from read_dbn(file, layout, rows)
        case "ndjson" | "json":
            yield from _taken_apart(file, layout, rows) if layout.is_mapped else _texts(file, rows)


def _batches(batches: Iterator[pa.RecordBatch], places: Mapping[str, int], rows: int) -> Iterator[Columns]:
    first = 1
    for batch in batches:
        for start in range(0, batch.num_rows, rows):
            part = batch.slice(start, rows)
            values = [pl.Series(name, pl.from_arrow(part.column(place))) for name, place in places.items()]
            yield Columns(pl.int_range(first, first + part.num_rows, eager=True), pl.DataFrame(values))
            first += part.num_rows


def _arrow(file: Opened, layout: Layout, rows: int) -> Iterator[Columns]:
    with file.seekable() as stream:
        is_file = stream.read(6) == b"ARROW1"
        stream.seek(0)
        reader = pa.ipc.open_file(stream) if is_file else pa.ipc.open_stream(stream)
        places = layout.chosen(file.name, reader.schema.names)
        batches = map(reader.get_batch, range(reader.num_record_batches)) if is_file else iter(reader)
        yield from _batches(batches, places, rows)


def _texts(file: Opened, rows: int) -> Iterator[Texts]:
    """Yields records of JSON unchanged: lines of them, an array, or one."""
    with file.stream() as stream:
        if file.kind == "ndjson" or _has_lines(stream):
            yield from _lines(file, stream, rows)
            return
        numbered = enumerate(json_values.values(file.name, stream), 1)
        while block := list(islice(numbered, rows)):
            yield Texts([number for number, _ in block], [text for _, text in block])


def _has_lines(stream: IO[bytes]) -> bool:
    """Whether what is called JSON has a record in its first line, as NDJSON has."""
    first = stream.peek(1).removeprefix(_BOM).lstrip().partition(b"\n")[0]  # type: ignore[attr-defined]
    return not first.startswith(b"[") and json_values.is_record(first)


def _taken_apart(file: Opened, layout: Layout, rows: int) -> Iterator[Columns]:
    """Yields the rows of JSON as cells, strings like those of CSV."""
    cells = Cells(file.name, layout)
    yield from sized((cells.of(texts) for texts in _texts(file, rows)), rows)


def _lines(file: Opened, stream: IO[bytes], rows: int) -> Iterator[Texts]:
    """Yields unchanged lines: their errors are found by the decoder."""
    numbers: list[int] = []
    texts: list[bytes] = []
    number = 0
    while line := stream.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE:
            raise FileError(f"{file.name}, line {number} is longer than {LONGEST_LINE >> 20} MiB: is it NDJSON?")
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
