"""The first rows of a file with all columns, to guess what these are."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import msgspec
import polars as pl

from connectors.files.errors import FileError
from connectors.files.json_cells import Cells
from connectors.files.layout import Layout
from connectors.files.opening import Opened
from connectors.files.pieces import Columns, Texts
from connectors.files.raw import pieces

ROWS: Final = 2_000
_DELIMITERS: Final = ",\t;|"


@dataclass(frozen=True, slots=True)
class FirstRows:
    """Rows of a file.

    Attributes:
        rows: with all columns, as strings unless the file has types.
        has_names: whether the columns have names; otherwise they are called 1, 2 and so on.
        delimiter: between cells, where it is not what the kind of file has.
    """

    rows: pl.DataFrame
    has_names: bool
    delimiter: str | None = None


def first_rows(file: Opened) -> FirstRows:
    """Reads them.

    Raises:
        FileError: the file holds none.
    """
    match file.kind:
        case "csv" | "tsv":
            found = _of_csv(file)
        case "ndjson" | "json":
            found = _of_json(file)
        case _:
            found = FirstRows(_of_table(file), has_names=True)
    if found.rows.is_empty():
        raise FileError(f"{file.name} holds no rows")
    return found


def _of_csv(file: Opened) -> FirstRows:
    with io.TextIOWrapper(file.stream(), encoding="utf-8-sig", errors="replace", newline="") as text:
        lines = list(islice(text, ROWS + 1))
    usual = "\t" if file.kind == "tsv" else ","
    counts = Counter({sign: min(line.count(sign) for line in lines[:20]) for sign in _DELIMITERS} if lines else {})
    delimiter = usual if not counts or counts[usual] else counts.most_common(1)[0][0]
    rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    names = [cell.strip() for cell in rows[0]] if rows else []
    has_names = bool(names) and all(name and not _is_value(name) for name in names) and len(set(names)) == len(names)
    columns = names if has_names else [str(number) for number in range(1, len(names) + 1)]
    whole = [[cell.strip() or None for cell in row] for row in rows[has_names:] if len(row) == len(columns)]
    table = pl.DataFrame(whole, dict.fromkeys(columns, pl.String), orient="row")
    return FirstRows(table, has_names, None if delimiter == usual else delimiter)


def _is_value(cell: str) -> bool:
    """Whether a cell of the first line is a value, and so no name."""
    return cell[0].isdigit() or cell.casefold() in ("true", "false") or _is_number(cell)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _of_table(file: Opened) -> pl.DataFrame:
    """Of a format whose columns have names and types."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet  # noqa: PLC0415

    with file.seekable() as stream:
        if file.kind == "parquet":
            with pa.parquet.ParquetFile(stream) as table:
                names: list[str] = table.schema_arrow.names
        else:
            is_file = stream.read(6) == b"ARROW1"
            stream.seek(0)
            names = (pa.ipc.open_file(stream) if is_file else pa.ipc.open_stream(stream)).schema.names
    piece = next(pieces(file, Layout(tuple(dict.fromkeys(name.strip() for name in names))), ROWS), None)
    return piece.values if isinstance(piece, Columns) else pl.DataFrame()


def _of_json(file: Opened) -> FirstRows:
    piece = next(pieces(file, Layout(()), ROWS), None)
    if not isinstance(piece, Texts):
        return FirstRows(pl.DataFrame(), has_names=True)
    try:
        first: Any = msgspec.json.decode(piece.texts[0])
    except (msgspec.DecodeError, RecursionError) as error:
        raise FileError(f"{file.name} is not JSON: {error}") from None
    if isinstance(first, dict):
        return FirstRows(Cells(file.name, Layout(tuple(first), is_mapped=True)).of(piece).values, has_names=True)
    if not isinstance(first, list) or not first:
        raise FileError(f"{file.name} holds neither objects nor rows: write its map by hand")
    numbers = tuple(range(1, len(first) + 1))
    rows = Cells(file.name, Layout(numbers, is_mapped=True)).of(piece).values
    return FirstRows(rows.rename({f"column {number}": str(number) for number in numbers}), has_names=False)
