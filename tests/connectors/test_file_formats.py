"""The same rows from every format, packed or not; and cells that fit no field."""

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.files.errors import FileError
from connectors.files.merge import merged
from connectors.files.reader import Reading, read
from contracts.event import WIRE

T0 = 1_761_314_521_234_567_000
ROWS = pl.DataFrame(
    {
        "provider": ["p", "p", "q"],
        "symbol": ["SPY", 'quo"ted, and\ncut', "é"],
        "kind": ["tick"] * 3,
        "src_ts": [T0, T0 + 1, T0 + 2],
        "c": [1.5, -0.25, 1e-9],
        "v": [1.0, 2.0, 3.0],
        "seq": [1, None, 9_007_199_254_740_993],
    }
)


def packed(data: bytes, packing: str) -> bytes:
    if packing == ".gz":
        return gzip.compress(data)
    return pa.compress(data, codec="zstd", asbytes=True) if packing == ".zst" else data


def written(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "feather":
        ROWS.write_ipc(buffer)
    elif kind == "arrow":
        ROWS.write_ipc_stream(buffer)
    elif kind == "parquet":
        ROWS.write_parquet(buffer)
    else:
        ROWS.write_csv(buffer, separator="\t" if kind == "tsv" else ",")
    return buffer.getvalue()


def frames(path: Path, **options: Any) -> pl.DataFrame:
    return pl.concat(read([path], Reading(WIRE, **options)))


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "arrow", "feather"])
def test_every_format_gives_the_same_rows(tmp_path: Path, kind: str, packing: str) -> None:
    path = tmp_path / f"ticks.{kind}{packing}"
    path.write_bytes(packed(written(kind), packing))
    found = frames(path)
    assert found.select(ROWS.columns).equals(ROWS)
    assert found["flaw"].null_count() == 3
    without_name = tmp_path / "ticks"
    if kind not in {"csv", "tsv"}:
        without_name.write_bytes(path.read_bytes())
        assert frames(without_name).select(ROWS.columns).equals(ROWS)


def test_signs_of_windows_and_of_hand_are_read(tmp_path: Path) -> None:
    path = tmp_path / "ticks.csv"
    text = f"\ufeff provider ,symbol,kind,src_ts, c,v \r\np,7,tick,{T0}, 1.5 ,2\r\n\r\n  \r\np,8,tick,{T0},2,\r\n"
    path.write_bytes(text.encode())
    found = frames(path)
    assert found.select("provider", "symbol", "c", "v", "row", "flaw").rows() == [
        ("p", "7", 1.5, 2.0, 2, None),
        (None, None, None, None, 4, "the row has 1 cells, and the header 6"),
        ("p", "8", 2.0, None, 5, None),
    ]


@pytest.mark.parametrize("ending", ["json", "ndjson"])
def test_lines_of_json_begin_after_the_mark_of_windows(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"ticks.{ending}"
    path.write_bytes(b'\xef\xbb\xbf{"symbol":"A"}\r\n\r\n{"symbol":\n')
    found = frames(path)
    assert found.select("raw", "symbol", "row").rows() == [(b'{"symbol":"A"}\r', "A", 1), (b'{"symbol":', None, 3)]


@given(
    st.lists(st.recursive(st.none() | st.floats(allow_nan=False) | st.text(), st.lists), max_size=8),
    st.sampled_from([None, 2]),
)
def test_the_items_of_an_array_come_one_by_one(items: list[Any], indent: int | None) -> None:
    from connectors.files.json_values import values

    text = json.dumps(items, indent=indent, ensure_ascii=False).encode("utf-8", "replace")
    found = list(values(Path("a.json"), io.BytesIO(text)))
    assert list(map(json.loads, found)) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"a":1} {"b":2}]', "after value 1 comes something else"),
        ('[{"a":1}] 5', "comes after its end"),
        ('[{"a":1},', "value 2"),
        ("[" * 100_000, "value 1"),
    ],
)
def test_what_is_no_json_is_said_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "ticks.json"
    path.write_text(text)
    with pytest.raises(FileError, match=words):
        frames(path)


def cast(dtype: Any) -> Callable[[list[Any]], pl.Series]:
    return lambda cells: pl.Series(cells).cast(dtype)


@pytest.mark.parametrize(
    ("name", "cells", "expected"),
    [
        ("seq", pl.Series([1.0, 1.2, 1.9, float("nan")]), [1, None, None, None]),
        ("seq", pl.Series(["1", "1.0", "1.2", " 3 ", "1e3", "9223372036854775808"]), [1, 1, None, 3, None, None]),
        ("seq", pl.Series([2**63], dtype=pl.UInt64), [None]),
        ("seq", pl.Series([True]), [None]),
        ("v", pl.Series([True, False]), [None, None]),
        ("v", pl.Series(["1", "true", "1,5", "inf", "nan", "1e300"]), [1.0, None, None, None, None, 1e300]),
        ("v", pl.Series(["1.10"]).cast(pl.Decimal(10, 2)), [1.1]),
        ("symbol", pl.Series([7, 8]), ["7", "8"]),
        ("symbol", pl.Series(["a", "b"]).cast(pl.Categorical), ["a", "b"]),
        ("symbol", pl.Series([1.5, 2.5]), [None, None]),
        ("symbol", pl.Series([True]), [None]),
        ("symbol", pl.Series([["a"]]), [None]),
    ],
)
def test_nothing_is_taken_for_a_value_that_it_is_not(
    tmp_path: Path, name: str, cells: pl.Series, expected: list[Any]
) -> None:
    path = tmp_path / "ticks.parquet"
    cells.alias(name).to_frame().write_parquet(path)
    found = frames(path)
    assert found[name].to_list() == expected
    assert [flaw is None for flaw in found["flaw"]] == [value is not None for value in expected]
    assert all(flaw is None or flaw.startswith(f"{name} is ") for flaw in found["flaw"])


def test_a_column_that_is_there_twice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ticks.csv"
    path.write_text("c, c\n1,2\n")
    with pytest.raises(FileError, match="has two columns c"):
        frames(path)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv.zst", "a.parquet", "a.arrow", "a.parquet.gz", "a.csv"])
def test_a_file_that_is_no_such_thing_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"symbol,c\n\xff\xfe\x00,1\n")
    with pytest.raises(FileError, match=r"^[^\n]+$"):
        frames(path)


@given(st.lists(st.lists(st.integers(0, 50) | st.none(), max_size=20), min_size=1, max_size=5), st.integers(1, 7))
def test_files_are_merged_by_time_and_each_keeps_its_order(files: list[list[int | None]], rows: int) -> None:
    def stream(number: int, times: list[int | None]) -> pl.DataFrame:
        row = pl.int_range(len(times), eager=True, dtype=pl.Int64)
        return pl.DataFrame({"src_ts": pl.Series(times, dtype=pl.Int64), "file": number, "row": row})

    whole = [stream(number, times) for number, times in enumerate(files)]
    out = list(merged([one.iter_slices(rows) for one in whole]))
    found = pl.concat([*out, stream(0, [])], how="vertical_relaxed")
    assert sorted(found.rows(), key=str) == sorted(pl.concat(whole, how="vertical_relaxed").rows(), key=str)
    for number, one in enumerate(whole):
        assert found.filter(file=number)["row"].to_list() == one["row"].to_list()
    in_order = [times for times in files if times == sorted(time for time in times if time is not None)]
    if len(in_order) == len(files):
        assert found["src_ts"].to_list() == sorted(found["src_ts"])
