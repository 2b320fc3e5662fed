"""A table of trades under names of its own, as files of every format, and the map that leads back to it."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
from hypothesis import strategies as st

from connectors.files.maps import FileMap, parse_map
from connectors.files.reader import Reading, read

FORMATS: Final = ("csv", "tsv", "csv by number", "parquet", "feather", "arrow", "ndjson", "json", "json arrays")
PACKINGS: Final = ("", ".gz", ".zst", ".zip")
COLUMNS: Final = {
    "provider": {"value": "acme"},
    "symbol": "pair",
    "time": {"column": "at", "unit": "us"},
    "price": {"column": "px", "scale": 0.01},
    "size": "qty",
    "side": {"column": "maker", "values": {True: "sell", False: "buy"}},
    "sequence": "no",
}
NUMBERS: Final = {"pair": 1, "at": 2, "px": 3, "qty": 4, "maker": 5, "no": 6}

trades: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.fixed_dictionaries(
        {
            "pair": st.sampled_from(["BTC-USD", "é/$", 'a "quoted", one']),
            "at": st.integers(10**15, 2 * 10**15),
            "px": st.integers(-(10**9), 10**9),
            "qty": st.floats(0, 1e9, allow_subnormal=False) | st.none(),
            "maker": st.booleans() | st.none(),
            "no": st.integers(0, 2**62) | st.none(),
        }
    ),
    min_size=1,
    max_size=20,
)


def table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    types = {"pair": pl.String, "at": pl.Int64, "px": pl.Int64, "qty": pl.Float64, "maker": pl.Boolean, "no": pl.Int64}
    return pl.DataFrame(rows, types)


def map_for(form: str) -> FileMap:
    if form not in ("csv by number", "json arrays"):
        return parse_map({"type": "trades/v2", "columns": COLUMNS})
    return parse_map({"type": "trades/v2", "columns": {word: _numbered(source) for word, source in COLUMNS.items()}})


def _numbered(source: Any) -> Any:
    if isinstance(source, str):
        return NUMBERS[source]
    return source | {"column": NUMBERS[source["column"]]} if "column" in source else source


def write(folder: Path, rows: list[dict[str, Any]], form: str, packing: str) -> Path:
    """Writes the table as a file."""
    suffix = form.split(maxsplit=1)[0]
    path = folder / f"dump.{suffix}{packing}"
    data = _written(table(rows), form)
    if packing == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"dump.{suffix}", data)
    else:
        path.write_bytes(_packed(data, packing))
    return path


def _packed(data: bytes, packing: str) -> bytes:
    if packing == ".gz":
        return gzip.compress(data)
    return pa.compress(data, codec="zstd", asbytes=True) if packing == ".zst" else data


def _written(frame: pl.DataFrame, form: str) -> bytes:
    buffer = io.BytesIO()
    match form:
        case "csv" | "tsv" | "csv by number":
            frame.write_csv(buffer, separator="\t" if form == "tsv" else ",", include_header=form != "csv by number")
        case "parquet":
            frame.write_parquet(buffer)
        case "feather":
            frame.write_ipc(buffer)
        case "arrow":
            frame.write_ipc_stream(buffer)
        case "ndjson":
            return "\n".join(json.dumps(row) for row in frame.to_dicts()).encode()
        case "json":
            return json.dumps(frame.to_dicts(), indent=1).encode()
        case "json arrays":
            return json.dumps([list(row) for row in frame.rows()]).encode()
    return buffer.getvalue()


def mapped(path: Path, columns: FileMap, **options: Any) -> pl.DataFrame:
    """What is read of a file with a map."""
    settings = {"unit": None, "zone": None, "remark": lambda _: None} | options
    return pl.concat(read([path], Reading.of_map(columns, **settings)))
